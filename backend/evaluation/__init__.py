"""Evaluations: `python -m backend.evaluation RUN_DIR` asks every contestant the same rows and compares.

`contestants` loads who answers, `rows` chooses what is asked, `program` is the road. `scoring`, `summary`,
`conclusions` and `report` judge answers and are light: pages and commands read with them what a program wrote.
"""
