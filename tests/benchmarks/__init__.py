"""What measures: each figure of the docs comes from a program here."""
