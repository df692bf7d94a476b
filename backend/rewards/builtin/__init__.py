"""The built-in rewards: one Python file each, read as text and never imported.

To add one, write its file, whose docstring begins with `Pays 1 for THIS: more.` or `Pays up to 1 for THIS: more.`, and
say `reward.NAME.about` and `reward.NAME.what` in `static/locales/zh/rewards.json`; English is that docstring. The file
stands alone: it imports nothing of the project, and no text in it but docstrings goes over several lines, because a
composed reward holds it as the body of a function.
"""
