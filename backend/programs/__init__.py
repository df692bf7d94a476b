"""All that imports torch: programs started with `python -m`, spoken to through a run's folder or a pipe."""
