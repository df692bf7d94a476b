"""Components of our own inside Gradio's page: a static frame, a script in `static/js`, values as data."""
