"""Compare read text by the edits that would set it right: ANLS, character and word error rates."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from rapidfuzz.distance import Levenshtein

from backend.metrics.metric import Metric, MetricInput, Table, averaged, best, quotient, split_wide

LEAST_SIMILARITY = 0.5  # an answer less like the gold one is another answer, not one misread


def anls(gold: str, prediction: str) -> float:
    """1 minus the edit distance over the longer length, and 0 where that is below a half. Case does not count.

    Over several accepted answers the best counts. Source: Biten et al., Scene Text Visual Question Answering (2019),
    section 4. The paper drops a similarity of exactly one half; the evaluation of DocVQA and both kits (VLMEvalKit,
    lmms-eval) keep it, and so does this. lmms-eval divides by the length with outer and repeated white space; here,
    as in VLMEvalKit, that is collapsed first.
    """
    gold_text, predicted_text = (" ".join(text.lower().split()) for text in (gold, prediction))
    longer = max(len(gold_text), len(predicted_text))
    score = 1 - Levenshtein.distance(gold_text, predicted_text) / longer if longer else 1.0
    return score if score >= LEAST_SIMILARITY else 0.0


def characters_of(text: str) -> list[str]:
    """Give the characters (NFC) of a text, each run of white space as one space, none at its ends."""
    return list(" ".join(unicodedata.normalize("NFC", text).split()))


def written_words_of(text: str) -> list[str]:
    """Give the words as written (NFC), with case and punctuation; an ideograph or kana is a word of its own."""
    return split_wide(unicodedata.normalize("NFC", text))


ANLS = averaged(
    "anls",
    lambda row: best(row, anls),
    label="ANLS",
    description="Similarity of read text, 0 where it is below a half",
    suits={"short": 2},
)


def _edits(units_of: Callable[[str], list[str]], inputs: Sequence[MetricInput]) -> Table:
    """Per row the edits and the length of the accepted answer that needs the smallest share of edits."""
    pairs = [_fewest(units_of, row) for row in inputs]
    return np.array(pairs, dtype=np.float64).reshape(len(pairs), 2)


def _fewest(units_of: Callable[[str], list[str]], row: MetricInput) -> tuple[int, int]:
    prediction = units_of(row.prediction)
    pairs = [(Levenshtein.distance(gold, prediction), len(gold)) for gold in map(units_of, row.golds)]
    return min(pairs, key=lambda pair: pair[0] / pair[1] if pair[1] else math.inf if pair[0] else 0.0)


def _rate(sums: Table) -> Table:
    return quotient(sums[..., 0], sums[..., 1])


# Edits over the length of the gold text, both summed over all rows; may pass 1. Case and punctuation count, the kind
# and amount of white space do not. What is read where nothing is written counts as edits. Source: Morris et al., From
# WER and RIL to MER and WIL (2004); jiwer, which keeps repeated white space in its characters.
CER = Metric(
    "cer",
    partial(_edits, characters_of),
    _rate,
    is_lower_better=True,
    label="Character error rate",
    description="Edits per 100 characters of the gold text; may pass 100",
    suits={"transcript": 0},
)
# The same over words. Chinese and Japanese have no spaces to split at, so there a character is a word, as is usual for
# texts of mixed writing; jiwer splits at spaces only.
WER = Metric(
    "wer",
    partial(_edits, written_words_of),
    _rate,
    is_lower_better=True,
    label="Word error rate",
    description="Edits per 100 words of the gold text; may pass 100",
    suits={"transcript": 1},
)
