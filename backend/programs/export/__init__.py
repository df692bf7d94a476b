"""`python -m backend.programs.export FOLDER`: merge, write, load again, and compare the answers."""
