"""Which of two models a person prefers, with a p that may be looked at after every vote."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

LEVEL = 0.05
Z = 1.959963984540054  # of the 95 % interval


class Preference(NamedTuple):
    """What the votes say so far."""

    p: float  # always valid: voting may stop as soon as it is small
    share: float  # of the decided votes that prefer model a; 0.5 where there is none
    low: float
    high: float
    verdict: Literal["a", "b", "undecided"]


def preference(votes: Sequence[Literal["a", "b", "tie"]]) -> Preference:
    """Judge votes in the order in which they were given; ties decide nothing.

    The evidence after n decided votes, k of them for a, is the beta-binomial mixture against a fair coin,
    `B(1 + k, 1 + n - k) / 0.5^n`; p is the least of its inverses so far. The interval is Wilson's, for looking once.

    Source: Robbins, Statistical Methods Related to the Law of the Iterated Logarithm (1970), Annals of Mathematical
    Statistics 41(5).
    """
    won = lost = 0
    p = 1.0
    for vote in votes:
        won, lost = won + (vote == "a"), lost + (vote == "b")
        decided = won + lost
        evidence = math.lgamma(1 + won) + math.lgamma(1 + lost) - math.lgamma(2 + decided) + decided * math.log(2)
        p = min(p, math.exp(-max(evidence, 0.0)))
    low, high = _wilson(won, won + lost)
    share = won / (won + lost) if won + lost else 0.5
    verdict: Literal["a", "b", "undecided"] = "undecided" if p > LEVEL or won == lost else "a" if won > lost else "b"
    return Preference(p, share, low, high, verdict)


def _wilson(won: int, decided: int) -> tuple[float, float]:
    if not decided:
        return 0.0, 1.0
    share, spread = won / decided, Z * Z / decided
    middle = (share + spread / 2) / (1 + spread)
    reach = Z * math.sqrt(share * (1 - share) / decided + spread / (4 * decided)) / (1 + spread)
    return max(0.0, middle - reach), min(1.0, middle + reach)
