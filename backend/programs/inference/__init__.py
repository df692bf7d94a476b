"""`python -m backend.programs.inference BASE_FOLDER`: chat, JSON lines on stdin and stdout."""
