"""The built-in rewards: one Python file each, read as text and never imported."""
