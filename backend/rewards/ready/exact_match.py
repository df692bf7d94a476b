"""Pays 1 for an exact match: the gold answer, apart from case, white space and a full stop at the end.

Where the answer stands in <answer> tags, only what is inside them counts.
"""


def reward(completions: list[str], answer: list[str], **columns: object) -> list[float | None]:
    """Score each completion against its row's gold answer."""
    return [float(_plain(given) == _plain(gold)) for given, gold in zip(completions, answer, strict=True)]


def _plain(text: str) -> str:
    words = " ".join(_final(text).casefold().split())
    return words.rstrip(".。") or words


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
