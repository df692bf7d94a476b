"""CIDEr-D: how like a caption is to several people's captions, rare words weighing more.

How rare a run of words is comes from the accepted captions of the same rows. So the score of a row depends on the rows
beside it, few rows make poor weights (one makes none, and scores 0), and a single caption per row cannot show what
people agree on; `names.notice` says so. A bootstrap over rows keeps the weights of the whole.
"""

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from backend.metrics.averaged import mean_of
from backend.metrics.metric import Answered, Metric, Table
from backend.metrics.plain import words_of

ORDERS = 4
SIGMA = 6.0  # words by which lengths may differ before it costs much
SCALE = 10.0

Run = tuple[str, ...]


class Weighted(NamedTuple):
    """A caption's runs of each order with their weights, the length of each such vector, and how many pairs it has."""

    weights: list[dict[Run, float]]
    norms: list[float]
    pairs: int  # stands for the length in words: the reference implementation counts so


def scores(answered: Sequence[Answered]) -> Table:
    """Per row its CIDEr-D, from 0 to 10, and a 1."""
    golds = [[_runs(gold) for gold in row.golds] for row in answered]
    rows_with = Counter(chain.from_iterable(set(chain.from_iterable(captions)) for captions in golds))
    all_rows = math.log(len(answered)) if answered else 0.0
    rarity = {run: all_rows - math.log(rows) for run, rows in rows_with.items()}
    found = [
        (_against(_weighted(_runs(row.given), rarity, all_rows), [_weighted(c, rarity, all_rows) for c in captions]), 1)
        for row, captions in zip(answered, golds, strict=True)
    ]
    return np.array(found, dtype=np.float64).reshape(len(found), 2)


# The mean over rows of 10 * the mean over accepted captions and runs of 1 to 4 words of the clipped tf-idf cosine,
# lessened by a Gaussian of the difference in length. Source: Vedantam et al., CIDEr (2015), section 5, as computed by
# pycocoevalcap (`Cider`) on text that is in small letters and split into words; those are of `words_of` here, since
# its own tokenizer needs Java.
CIDER = Metric("cider", scores, mean_of, is_share=False, is_row_local=False)


def _runs(text: str) -> Counter[Run]:
    words = words_of(text)
    return Counter(tuple(words[at : at + n]) for n in range(1, ORDERS + 1) for at in range(len(words) - n + 1))


def _weighted(runs: Counter[Run], rarity: dict[Run, float], unseen: float) -> Weighted:
    weights: list[dict[Run, float]] = [{} for _ in range(ORDERS)]
    for run, times in runs.items():
        weights[len(run) - 1][run] = times * rarity.get(run, unseen)
    norms = [math.sqrt(sum(weight**2 for weight in of_order.values())) for of_order in weights]
    return Weighted(weights, norms, sum(times for run, times in runs.items() if len(run) == 2))


def _against(given: Weighted, golds: list[Weighted]) -> float:
    return SCALE * sum(_likeness(given, gold) for gold in golds) / len(golds)


def _likeness(given: Weighted, gold: Weighted) -> float:
    total = 0.0
    for of_given, of_gold, norm_given, norm_gold in zip(
        given.weights, gold.weights, given.norms, gold.norms, strict=True
    ):
        shared = sum(min(weight, of_gold[run]) * of_gold[run] for run, weight in of_given.items() if run in of_gold)
        total += shared / (norm_given * norm_gold) if norm_given and norm_gold else 0.0
    return total / ORDERS * math.exp(-((given.pairs - gold.pairs) ** 2) / (2 * SIGMA**2))
