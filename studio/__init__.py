"""What a person touches: the web app and the command line."""
