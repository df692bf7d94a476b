"""What the studio knows, and the programs that do the heavy work.

The light ring (`errors`, `ids`, `settings`, `jsonl`, `conversation`, `vision_tokens`, `catalog`, `spec`, `recipes`,
`runs`, `datasets`, `store`, `demo`) is imported by everyone and never touches torch. The programs (`model`, `training`,
`inference`) are started with `python -m` and spoken to through files or a pipe.
"""
