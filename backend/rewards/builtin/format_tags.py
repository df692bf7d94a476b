"""Pays 1 for the asked form: <think>...</think><answer>...</answer>, each tag exactly once and in order, neither empty.

It says nothing about the answer's truth: give it a small weight beside a reward that does, 0.1 or 0.2.
"""

import re

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
FORM = re.compile(r"\s*<think>(.*)</think>\s*<answer>(.*)</answer>\s*", re.DOTALL)


def reward(completions: list[str], **columns: object) -> list[float | None]:
    """Score the form of each completion."""
    return [float(_has_form(completion)) for completion in completions]


def _has_form(text: str) -> bool:
    if any(text.count(tag) != 1 for tag in TAGS):
        return False
    match = FORM.fullmatch(text)
    return match is not None and all(any(map(str.isalnum, inside)) for inside in match.groups())
