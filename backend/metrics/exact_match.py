"""Compare whole answers with their gold answers; and the scores that a training run shows while it learns."""

from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

from backend.metrics.boxes import box_iou
from backend.metrics.metric import averaged, best, plain


def exact_match(gold: str, prediction: str) -> float:
    """1 where the answers are the same, apart from case, white space and a full stop at the end.

    Source: the normalised exact match of SQuAD's evaluation, without its dropping of articles, which other languages
    do not have.
    """
    return float(plain(gold) == plain(prediction))


def similarity(gold: str, prediction: str) -> float:
    """1 minus the edit distance over the length of the longer answer, both plain as in `exact_match`.

    Source: Levenshtein's distance, normalised as in ANLS (Biten et al., 2019), without its threshold.
    """
    return float(Levenshtein.normalized_similarity(plain(gold), plain(prediction)))


EXACT_MATCH = averaged(
    "exact_match",
    lambda row: best(row, exact_match),
    label="Exact match",
    description="Answers that equal the gold one, apart from case, white space and a final full stop",
    suits={"short": 1, "number": 2},
)
SIMILARITY = averaged(
    "similarity",
    lambda row: best(row, similarity),
    label="Similarity",
    description="1 minus the edits between the answers over the longer one's length",
)


def scores_of(golds: Sequence[str], prediction: str) -> dict[str, float]:
    """Score one answer with what is cheap and always sensible, each measure by the gold answer that it fits best.

    Args:
        golds: the gold answer, and others that are as good.
        prediction: the model's.

    Returns:
        Measures by name; `box_iou` only where a gold answer is a box.
    """
    scores = {
        measure.__name__: max(measure(gold, prediction) for gold in golds) for measure in (exact_match, similarity)
    }
    overlaps = [overlap for gold in golds if (overlap := box_iou(gold, prediction)) is not None]
    return scores | {"box_iou": max(overlaps)} if overlaps else scores
