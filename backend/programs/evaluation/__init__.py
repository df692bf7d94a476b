"""`python -m backend.programs.evaluation RUN_DIR`: answer rows with each model, then score the answers."""
