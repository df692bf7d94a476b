"""The web process: its address and lock, the assembled app, the guard in front, the upkeep behind."""
