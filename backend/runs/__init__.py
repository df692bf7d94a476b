"""The run folder: its paths (`folder`), its records (`records`), its events (`events`)."""
