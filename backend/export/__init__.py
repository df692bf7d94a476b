"""The export program: `python -m backend.export FOLDER`, from a checkpoint to one whole model that answers the same."""
