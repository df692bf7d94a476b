"""Talking to models: conversations side by side and how they are kept; votes between two that nobody can tell apart."""
