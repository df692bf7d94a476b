"""Scripts that make what ships and measure what the README states; each has a `--short` form that the suite runs."""
