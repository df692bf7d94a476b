"""What measures: each figure of the docs comes from a program here; most have a `--short` form that the suite runs."""
