"""The Runs page: watch, compare, stop, delete and repeat runs."""
