"""The training program: `python -m backend.training RUN_DIR`."""
