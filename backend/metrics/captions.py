"""Compare captions and longer texts: BLEU-4, ROUGE-L and CIDEr-D."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from rapidfuzz.distance import LCSseq

from backend.metrics.metric import Metric, MetricInput, Table, averaged, best, has_wide, mean_of, words_of

ORDERS = 4
LEAST_CAPTION_ROWS = 20  # with fewer, CIDEr cannot tell rare words from common ones
_KANA = ("\u3040", "\u30ff")
SIGMA = 6.0  # words by which lengths may differ before it costs much
SCALE = 10.0
Run = tuple[str, ...]


def tokenizer_of(golds: Sequence[str]) -> str:
    """Name sacrebleu's tokenizer for one row, by its gold texts, so that all models' answers are split alike.

    `zh` where there are ideographs; `char` where there is kana, which `zh` would leave unsplit; else `13a`.
    """
    text = "".join(golds)
    if any(_KANA[0] <= character <= _KANA[1] for character in text):
        return "char"
    return "zh" if has_wide(text) else "13a"


def counts(inputs: Sequence[MetricInput]) -> Table:
    """Per row the given length, the gold length, then shared runs and runs of 1 to 4 words."""
    table = np.zeros((len(inputs), 2 + 2 * ORDERS))
    for row, line in zip(inputs, table, strict=True):
        bleu = _bleu_scorer(tokenizer_of(row.golds)).corpus_score([row.prediction], [[gold] for gold in row.golds])
        line[:] = (bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals)
    return table


def corpus_bleu(sums: Table) -> Table:
    """Give BLEU of summed counts, as sacrebleu does by default: four orders, exponential smoothing."""
    return _bleu(sums, is_short_allowed=False)


def sentence_bleu(sums: Table) -> Table:
    """Give BLEU of one row, over the orders that it is long enough for (sacrebleu's `effective_order`)."""
    return _bleu(sums, is_short_allowed=True)


# BLEU-4 over all rows, from 0 to 1, with case. Each row's closest gold length counts for its brevity. Source: Papineni
# et al. (2002) and Post, A Call for Clarity in Reporting BLEU Scores (2018), sacrebleu's default signature.
BLEU = Metric(
    "bleu",
    counts,
    corpus_bleu,
    row_value=sentence_bleu,
    label="BLEU-4",
    description="Runs of one to four words shared with the gold text, over all rows together",
    suits={"text": 1},
)


def rouge_l(gold: str, prediction: str) -> float:
    """Give F1 of the longest common subsequence of words: 2 * common / (gold words + given words).

    Over several accepted texts the best counts, as in rouge-score's `score_multi`. 0 where either has no words.
    Source: Lin, ROUGE (2004), section 3.1, with the equal weights of rouge-score (COCO's tool weighs recall, beta
    1.2). Its tokenizer drops all but ASCII letters and digits; this one keeps every writing, see `words_of`.
    """
    gold_words, predicted_words = words_of(gold), words_of(prediction)
    if not gold_words or not predicted_words:
        return 0.0
    return 2 * LCSseq.similarity(gold_words, predicted_words) / (len(gold_words) + len(predicted_words))


ROUGE_L = averaged(
    "rouge_l",
    lambda row: best(row, rouge_l),
    label="ROUGE-L",
    description="The longest common sequence of words, gaps allowed",
    suits={"text": 0},
)


class NgramWeights(NamedTuple):
    """A caption's runs of each order with their weights, the length of each such vector, and how many pairs it has."""

    weights: list[dict[Run, float]]
    norms: list[float]
    pairs: int  # stands for the length in words: the reference implementation counts so


def scores(inputs: Sequence[MetricInput]) -> Table:
    """Per row its CIDEr-D, from 0 to 10, and a 1."""
    golds = [[_runs(gold) for gold in row.golds] for row in inputs]
    rows_with = Counter(chain.from_iterable(set(chain.from_iterable(captions)) for captions in golds))
    all_rows = math.log(len(inputs)) if inputs else 0.0
    rarity = {run: all_rows - math.log(rows) for run, rows in rows_with.items()}
    rows = [
        (
            _against(
                _weighted(_runs(row.prediction), rarity, all_rows), [_weighted(c, rarity, all_rows) for c in captions]
            ),
            1,
        )
        for row, captions in zip(inputs, golds, strict=True)
    ]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 2)


def _notice(rows: int, answers_per_row: float) -> str | None:
    if rows < LEAST_CAPTION_ROWS:
        return f"CIDEr learns from the captions which words are rare; {rows} rows are too few for that"
    if answers_per_row < 2:
        return "CIDEr is meant for several captions per image; with one, read it only to compare models on these rows"
    return None


# The mean over rows of 10 * the mean over accepted captions and runs of 1 to 4 words of the clipped tf-idf cosine,
# lessened by a Gaussian of the difference in length. Source: Vedantam et al., CIDEr (2015), section 5, as computed by
# pycocoevalcap (`Cider`) on text that is in small letters and split into words; those are of `words_of` here, since
# its own tokenizer needs Java.
CIDER = Metric(
    "cider",
    scores,
    mean_of,
    is_share=False,
    is_row_local=False,
    label="CIDEr-D",
    description="Likeness to several people's captions, rare words weighing more; 0 to 10",
    suits={"text": 2},
    needs_references=True,
    least_rows=LEAST_CAPTION_ROWS,
    notice=_notice,
)


@cache
def _bleu_scorer(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU as SacreBleu  # noqa: PLC0415 - the web process lists metrics, it computes none

    return SacreBleu(tokenize=tokenizer)


def _bleu(sums: Table, *, is_short_allowed: bool) -> Table:
    predicted_length, gold_length = sums[..., 0], sums[..., 1]
    shared, runs = sums[..., 2 : 2 + ORDERS], sums[..., 2 + ORDERS :]
    is_missed = (shared == 0) & (runs > 0)
    halvings = np.cumsum(is_missed, axis=-1)  # the k-th order without a match counts 1 / 2^k of a match
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.where(is_missed, 0.5**halvings, shared) / runs)
        brevity = np.where(predicted_length > 0, np.minimum(0.0, 1 - gold_length / predicted_length), -np.inf)
    is_counted = (runs > 0) if is_short_allowed else np.ones_like(runs, dtype=bool)
    orders = np.maximum(is_counted.sum(axis=-1), 1)
    mean = np.where(is_counted, np.where(runs > 0, logs, -np.inf), 0.0).sum(axis=-1) / orders
    score = np.where(shared.any(axis=-1), np.exp(brevity + mean), 0.0)
    return np.where(predicted_length + gold_length > 0, score, np.nan)


def _runs(text: str) -> Counter[Run]:
    words = words_of(text)
    return Counter(tuple(words[at : at + n]) for n in range(1, ORDERS + 1) for at in range(len(words) - n + 1))


def _weighted(runs: Counter[Run], rarity: dict[Run, float], unseen: float) -> NgramWeights:
    weights: list[dict[Run, float]] = [{} for _ in range(ORDERS)]
    for run, times in runs.items():
        weights[len(run) - 1][run] = times * rarity.get(run, unseen)
    norms = [math.sqrt(sum(weight**2 for weight in of_order.values())) for of_order in weights]
    return NgramWeights(weights, norms, sum(times for run, times in runs.items() if len(run) == 2))


def _against(prediction: NgramWeights, golds: list[NgramWeights]) -> float:
    return SCALE * sum(_likeness(prediction, gold) for gold in golds) / len(golds)


def _likeness(prediction: NgramWeights, gold: NgramWeights) -> float:
    total = 0.0
    for of_prediction, of_gold, norm_prediction, norm_gold in zip(
        prediction.weights, gold.weights, prediction.norms, gold.norms, strict=True
    ):
        shared = sum(
            min(weight, of_gold[run]) * of_gold[run] for run, weight in of_prediction.items() if run in of_gold
        )
        total += shared / (norm_prediction * norm_gold) if norm_prediction and norm_gold else 0.0
    return total / ORDERS * math.exp(-((prediction.pairs - gold.pairs) ** 2) / (2 * SIGMA**2))
