"""Rewards as the Rewards page shows them: the shelf of them, the composer's sentence, and dry runs."""
