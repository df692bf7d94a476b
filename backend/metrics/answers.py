"""Score one given answer against its gold answer. Each metric gives 0 to 1, or None where it does not apply."""

import json
from collections.abc import Callable, Mapping

from rapidfuzz.distance import Levenshtein

Box = tuple[float, float, float, float]  # left, top, right, bottom
Metric = Callable[[str, str], float | None]


def exact_match(gold: str, given: str) -> float:
    """1 where the answers are the same, apart from case, white space and a full stop at the end.

    Source: the normalised exact match of SQuAD's evaluation, without its dropping of articles, which other languages
    do not have.
    """
    return float(_plain(gold) == _plain(given))


def similarity(gold: str, given: str) -> float:
    """1 minus the edit distance over the length of the longer answer, both plain as in `exact_match`.

    Source: Levenshtein's distance, normalised as in ANLS (Biten et al., 2019), without its threshold.
    """
    return float(Levenshtein.normalized_similarity(_plain(gold), _plain(given)))


def box_iou(gold: str, given: str) -> float | None:
    """Shared area over joint area of two boxes `[left, top, right, bottom]`; None where the gold answer is no box.

    A given answer that is no box scores 0.
    """
    wanted, found = _box(gold), _box(given)
    if wanted is None:
        return None
    if found is None:
        return 0.0
    width = min(wanted[2], found[2]) - max(wanted[0], found[0])
    height = min(wanted[3], found[3]) - max(wanted[1], found[1])
    shared = max(0.0, width) * max(0.0, height)
    joint = _area(wanted) + _area(found) - shared
    return shared / joint if joint > 0 else 0.0


METRICS: Mapping[str, Metric] = {"exact_match": exact_match, "similarity": similarity, "box_iou": box_iou}


def scores_of(gold: str, given: str) -> dict[str, float]:
    """Every metric that applies to this pair."""
    found = {name: metric(gold, given) for name, metric in METRICS.items()}
    return {name: score for name, score in found.items() if score is not None}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip(".。")


def _box(text: str) -> Box | None:
    try:
        left, top, right, bottom = (float(number) for number in json.loads(text))
    except (ValueError, TypeError):
        return None
    return (left, top, right, bottom) if left <= right and top <= bottom else None


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
