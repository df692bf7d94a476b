"""BLEU: how many runs of one to four words a text shares with its gold text."""

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU as SacreBleu

from backend.metrics.metric import Answered, Metric, Table
from backend.metrics.plain import has_wide

ORDERS = 4
_SCORERS = {name: SacreBleu(tokenize=name) for name in ("13a", "zh", "char")}
_KANA = ("\u3040", "\u30ff")


def tokenizer_of(golds: Sequence[str]) -> str:
    """Name sacrebleu's tokenizer for one row, by its gold texts, so that all models' answers are split alike.

    `zh` where there are ideographs; `char` where there is kana, which `zh` would leave unsplit; else `13a`.
    """
    text = "".join(golds)
    if any(_KANA[0] <= character <= _KANA[1] for character in text):
        return "char"
    return "zh" if has_wide(text) else "13a"


def counts(answered: Sequence[Answered]) -> Table:
    """Per row the given length, the gold length, then shared runs and runs of 1 to 4 words."""
    table = np.zeros((len(answered), 2 + 2 * ORDERS))
    for row, line in zip(answered, table, strict=True):
        found = _SCORERS[tokenizer_of(row.golds)].corpus_score([row.given], [[gold] for gold in row.golds])
        line[:] = (found.sys_len, found.ref_len, *found.counts, *found.totals)
    return table


def corpus_bleu(sums: Table) -> Table:
    """Give BLEU of summed counts, as sacrebleu does by default: four orders, exponential smoothing."""
    return _bleu(sums, is_short_allowed=False)


def sentence_bleu(sums: Table) -> Table:
    """Give BLEU of one row, over the orders that it is long enough for (sacrebleu's `effective_order`)."""
    return _bleu(sums, is_short_allowed=True)


# BLEU-4 over all rows, from 0 to 1, with case. Each row's closest gold length counts for its brevity. Source: Papineni
# et al. (2002) and Post, A Call for Clarity in Reporting BLEU Scores (2018), sacrebleu's default signature.
BLEU = Metric("bleu", counts, corpus_bleu, row_value=sentence_bleu)


def _bleu(sums: Table, *, is_short_allowed: bool) -> Table:
    given, gold = sums[..., 0], sums[..., 1]
    shared, runs = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    is_missed = (shared == 0) & (runs > 0)
    halvings = np.cumsum(is_missed, axis=-1)  # the k-th order without a match counts 1 / 2^k of a match
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(is_missed, 0.5**halvings, shared) / runs)
        brevity = np.where(given > 0, np.minimum(0.0, 1 - gold / given), -np.inf)
    is_counted = (runs > 0) if is_short_allowed else np.ones_like(runs, dtype=bool)
    orders = np.maximum(is_counted.sum(axis=-1), 1)
    mean = np.where(is_counted, np.where(runs > 0, logs, -np.inf), 0.0).sum(axis=-1) / orders
    score = np.where(shared.any(axis=-1), np.exp(brevity + mean), 0.0)
    return np.where(given + gold > 0, score, np.nan)
