"""ROUGE-L: the longest run of words, gaps allowed, that a text shares with its gold text."""

from rapidfuzz.distance import LCSseq

from backend.metrics.averaged import averaged, best
from backend.metrics.plain import words_of


def rouge_l(gold: str, given: str) -> float:
    """Give F1 of the longest common subsequence of words: 2 * common / (gold words + given words).

    Over several accepted texts the best counts, as in rouge-score's `score_multi`. 0 where either has no words.
    Source: Lin, ROUGE (2004), section 3.1, with the equal weights of rouge-score (COCO's tool weighs recall, beta
    1.2). Its tokenizer drops all but ASCII letters and digits; this one keeps every writing, see `words_of`.
    """
    wanted, found = words_of(gold), words_of(given)
    if not wanted or not found:
        return 0.0
    return 2 * LCSseq.similarity(wanted, found) / (len(wanted) + len(found))


ROUGE_L = averaged("rouge_l", lambda row: best(row, rouge_l))
