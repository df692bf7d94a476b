"""Which metrics suit a dataset, by what its gold answers look like."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from backend.metrics.boxes import boxes_of
from backend.metrics.choices import gold_letter, gold_yes
from backend.metrics.json_fields import gold_object
from backend.metrics.metric import has_wide, words_of
from backend.metrics.names import LEAST_CAPTION_ROWS, MetricName
from backend.metrics.relaxed_accuracy import number_of

MOST = 0.8  # of the rows: then the dataset is of one kind
SOME = 0.2  # of the rows: then a kind is worth a metric
LONG_TEXT_WORDS = 8
WIDE_PER_WORD = 2  # ideographs that say as much as a word
Kind = Literal["boxes", "object", "letter", "yes_no", "number", "transcript", "text", "short"]
SUITING: Mapping[Kind, tuple[MetricName, ...]] = {
    "boxes": ("box_iou", "box_accuracy_50"),
    "object": ("json_field_f1",),
    "letter": ("multiple_choice",),
    "yes_no": ("yes_no", "yes_no_f1"),
    "number": ("relaxed_accuracy", "exact_match"),
    "transcript": ("cer", "wer"),
    "text": ("rouge_l", "bleu"),
    "short": ("exact_match", "anls"),
}


def proposed(golds: Sequence[str], references: bool = False) -> tuple[MetricName, ...]:
    """Name the metrics that suit these gold answers, the headline first.

    Args:
        golds: of all rows, or a fair sample of them.
        references: whether the rows have further accepted answers.

    Returns:
        Those of the one kind that 80 % of the rows are of. Of a mixed dataset `exact_match`, then those of every kind
        that 20 % are of. `exact_match` and `anls` where there is nothing to look at.
    """
    if not golds:
        return SUITING["short"]
    kinds = Counter(map(kind_of, golds)).most_common()
    suiting = {kind: _suiting(kind, len(golds), references=references) for kind, _ in kinds}
    if kinds[0][1] >= MOST * len(golds):
        return suiting[kinds[0][0]]
    names = [name for kind, rows in kinds if rows >= SOME * len(golds) for name in suiting[kind]]
    return tuple(dict.fromkeys(("exact_match", *names)))


def kind_of(gold: str) -> Kind:
    """Tell what sort of answer a gold answer is."""
    if boxes_of(gold):
        return "boxes"
    if gold_object(gold) is not None:
        return "object"
    if gold_letter(gold) is not None:
        return "letter"
    if gold_yes(gold) is not None:
        return "yes_no"
    if number_of(gold) is not None:
        return "number"
    return _kind_of_text(gold)


def _kind_of_text(gold: str) -> Kind:
    """Texts of several lines, and formulas, are copied from an image; other long ones are somebody's wording."""
    words = words_of(gold)
    wide = sum(map(has_wide, words))
    if len(words) - wide + wide / WIDE_PER_WORD < LONG_TEXT_WORDS:
        return "short"
    return "transcript" if "\n" in gold.strip() or "\\" in gold else "text"


def _suiting(kind: Kind, rows: int, *, references: bool) -> tuple[MetricName, ...]:
    names = SUITING[kind]
    if references and kind == "text" and rows >= LEAST_CAPTION_ROWS:
        return (*names, "cider")
    if references and kind in ("short", "number"):
        return ("vqa_accuracy", *names)
    return names
