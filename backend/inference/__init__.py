"""The chat program: `python -m backend.inference`, one base model in memory, its adapters beside it."""
