"""Pays up to 1 for text read without mistakes: 1 minus the edit distance over the length of the longer text.

Case counts, the kind of white space does not. Where the answer stands in <answer> tags, only what is inside them
counts. An empty answer earns nothing, unless there is nothing to read.
"""

from rapidfuzz.distance import Levenshtein

LEAST_SIMILARITY = 0.0  # a text that is less like the gold one earns nothing; ANLS takes 0.5


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [max(_score(_normalized(completion), _normalized(gold)) for gold in golds) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _score(predicted: str, gold: str) -> float:
    similarity = Levenshtein.normalized_similarity(gold, predicted)
    return float(similarity) if similarity >= LEAST_SIMILARITY else 0.0


def _normalized(text: str) -> str:
    return " ".join(_final(text).split())


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
