"""Pays up to 1 for boxes that overlap the gold ones: their shared area over their joint area, averaged over boxes.

Boxes are [left, top, right, bottom] in pixels of the image as the model sees it, alone, in a list or in JSON. The
best pairs are taken first. The average is over the gold boxes or the found ones, whichever are more, so that naming
many boxes does not pay. Does not apply where the gold answer has no box.
"""

import re

LEAST_OVERLAP = 0.0  # pairs that overlap less earn nothing; 0.5 would pay only for good hits
NUMBER = r"\s*(-?\d{1,7}(?:\.\d{1,7})?)\s*"
BOX = re.compile(r"\[" + ",".join([NUMBER] * 4) + r"\]")


def reward(
    completions: list[str], answer: list[str], references: list[list[str]] | None = None, **columns: object
) -> list[float | None]:
    """Score each completion against its row's gold answer, or another one that is as good."""
    rows = zip(completions, _golds(answer, references), strict=True)
    return [_best([_score(_boxes(completion), _boxes(gold)) for gold in golds]) for completion, golds in rows]


def _golds(answer: list[str], references: list[list[str]] | None) -> list[list[str]]:
    """Each row's gold answer, and those that are as good."""
    return [[gold, *others] for gold, others in zip(answer, references or [[]] * len(answer), strict=True)]


def _best(scores: list[float | None]) -> float | None:
    """The most that is paid; None where nothing applies."""
    return max((score for score in scores if score is not None), default=None)


def _score(predicted: list[tuple[float, ...]], gold: list[tuple[float, ...]]) -> float | None:
    if not gold:
        return None
    pairs = ((_overlap(a, b), i, j) for i, a in enumerate(gold) for j, b in enumerate(predicted))
    total, matched_gold, matched_predicted = 0.0, set(), set()
    for overlap, i, j in sorted((pair for pair in pairs if pair[0] > 0), reverse=True):
        if overlap >= LEAST_OVERLAP and i not in matched_gold and j not in matched_predicted:
            total += overlap
            matched_gold.add(i)
            matched_predicted.add(j)
    return total / max(len(gold), len(predicted))


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(0.0, width) * max(0.0, height)
    joint = _area(a) + _area(b) - shared
    return shared / joint if joint > 0 else 0.0


def _area(box: tuple[float, ...]) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _boxes(text: str) -> list[tuple[float, ...]]:
    return [tuple(map(float, numbers)) for numbers in BOX.findall(_final(text))]


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
