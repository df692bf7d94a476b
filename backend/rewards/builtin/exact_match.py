"""Pays 1 for an exact match: the gold answer, apart from case, white space and a full stop at the end.

Where the answer stands in <answer> tags, only what is inside them counts.
"""


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [float(_normalized(completion) in map(_normalized, golds)) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _normalized(text: str) -> str:
    words = " ".join(_final(text).casefold().split())
    return words.rstrip(".。") or words


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
