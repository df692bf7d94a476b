"""Named specs as YAML, one for each launch script of the framework this studio grew from."""
