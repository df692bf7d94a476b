"""Small routes beside Gradio's: JSON for charts and rows, pictures by id, downloads."""
