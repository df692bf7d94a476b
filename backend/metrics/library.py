"""Every metric by its name, and which of them suit a dataset.

A new metric is a module of this package and a line in `METRICS`; its texts in other languages stand in the locales.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from backend.metrics.boxes import BOX_ACCURACY_50, BOX_IOU, boxes_of
from backend.metrics.captions import BLEU, CIDER, ROUGE_L
from backend.metrics.choices import MULTIPLE_CHOICE, YES_NO, YES_NO_F1, gold_letter, gold_yes
from backend.metrics.edit_distance import ANLS, CER, WER
from backend.metrics.exact_match import EXACT_MATCH, SIMILARITY
from backend.metrics.json_fields import JSON_FIELD_F1, gold_object
from backend.metrics.metric import GoldKind, Metric, has_wide, words_of
from backend.metrics.relaxed_accuracy import RELAXED_ACCURACY, number_of
from backend.metrics.vqa_accuracy import VQA_ACCURACY

METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        EXACT_MATCH,
        SIMILARITY,
        VQA_ACCURACY,
        ANLS,
        RELAXED_ACCURACY,
        MULTIPLE_CHOICE,
        YES_NO,
        YES_NO_F1,
        BOX_IOU,
        BOX_ACCURACY_50,
        CER,
        WER,
        JSON_FIELD_F1,
        BLEU,
        ROUGE_L,
        CIDER,
    )
}
MOST = 0.8  # of the rows: then the dataset is of one kind
SOME = 0.2  # of the rows: then a kind is worth a metric
LONG_TEXT_WORDS = 8
WIDE_PER_WORD = 2  # ideographs that say as much as a word


def proposed_metrics(golds: Sequence[str], references: bool = False) -> tuple[str, ...]:
    """Name the metrics that suit these gold answers, the headline first.

    Args:
        golds: of all rows, or a fair sample of them.
        references: whether the rows have further accepted answers.

    Returns:
        Those of the one kind that 80 % of the rows are of. Of a mixed dataset `exact_match`, then those of every kind
        that 20 % are of. Those of short answers where there is nothing to look at.
    """
    if not golds:
        return _suiting("short", 0, references=False)
    kinds = Counter(map(kind_of, golds)).most_common()
    suiting = {kind: _suiting(kind, len(golds), references=references) for kind, _ in kinds}
    if kinds[0][1] >= MOST * len(golds):
        return suiting[kinds[0][0]]
    names = [name for kind, rows in kinds if rows >= SOME * len(golds) for name in suiting[kind]]
    return tuple(dict.fromkeys((EXACT_MATCH.name, *names)))


def kind_of(gold: str) -> GoldKind:
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


def _kind_of_text(gold: str) -> GoldKind:
    """Texts of several lines, and formulas, are copied from an image; other long ones are somebody's wording."""
    words = words_of(gold)
    wide = sum(map(has_wide, words))
    if len(words) - wide + wide / WIDE_PER_WORD < LONG_TEXT_WORDS:
        return "short"
    return "transcript" if "\n" in gold.strip() or "\\" in gold else "text"


def _suiting(kind: GoldKind, rows: int, *, references: bool) -> tuple[str, ...]:
    metrics = [
        metric
        for metric in METRICS.values()
        if kind in metric.suits and rows >= metric.least_rows and (references or not metric.needs_references)
    ]
    return tuple(metric.name for metric in sorted(metrics, key=lambda metric: metric.suits[kind]))
