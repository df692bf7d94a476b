"""What a dry run warns of: plain arithmetic over the scored answers, and a sentence for each finding."""

from collections.abc import Iterator, Sequence
from statistics import fmean

from backend.rewards.report import ADVERSARIES, AnswerKind, CheckedReward, CheckedRow, CheckWarning, ScoredAnswer

FLAT_SHARE = 0.6  # of groups without spread, above which a run learns little (TRL #3857, verl #1109)
PAID_LIKE_GOLD = 0.5  # of what gold answers earn, from which an adversary counts as paid
SLOW_SECONDS = 1.0  # an answer
EQUAL = 1e-6
_SAID: dict[AnswerKind, str] = {
    "empty": "an empty answer",
    "repeated": "the gold answer written 50 times over",
    "tags": "empty tags without an answer",
    "long": "10,000 characters of filler",
}


def total_of(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted sum of what rewards paid; None where none of them applies."""
    known = [value * weight for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(known) if known else None


def no_spread_share(rows: Sequence[CheckedRow]) -> float | None:
    """Share of the groups whose samples all earn the same; None without samples."""
    spreads = [row.spread for row in rows if row.spread is not None]
    return sum(spread < EQUAL for spread in spreads) / len(spreads) if spreads else None


def warnings_of(rewards: Sequence[CheckedReward], rows: Sequence[CheckedRow]) -> list[CheckWarning]:
    """Everything that a person should know before a run, the gravest first."""
    answers = [answer for row in rows for answer in row.answers]
    return [
        *_failures(rewards, answers),
        *_paid_adversaries(rewards, answers),
        *_underpaid_gold(rewards, answers),
        *_flat(rows),
        *_slow(answers),
    ]


def _failures(rewards: Sequence[CheckedReward], answers: Sequence[ScoredAnswer]) -> Iterator[CheckWarning]:
    for reward in rewards:
        name = reward.name
        failed = [answer for answer in answers if name in answer.problems]
        if failed:
            share = len(failed) / len(answers)
            text = f"`{name}` fails for {len(failed)} of {len(answers)} answers: {failed[0].problems[name]}"
            yield CheckWarning(code="fails", reward=name, text=text, value=share)
        elif all(answer.values.get(name) is None for answer in answers):
            yield CheckWarning(code="never_applies", reward=name, text=f"`{name}` gives no value for any of these rows")


def _paid_adversaries(rewards: Sequence[CheckedReward], answers: Sequence[ScoredAnswer]) -> Iterator[CheckWarning]:
    """What all together pay: a part that pays for brevity alone is no mistake beside one that asks for truth."""
    gold, name = _mean(answers, "gold"), rewards[0].name if len(rewards) == 1 else ""
    for kind in ADVERSARIES:
        paid = _mean(answers, kind)
        if paid is not None and paid > EQUAL and (gold is None or paid >= PAID_LIKE_GOLD * gold):
            who = f"`{name}` pays" if name else "Together the rewards pay"
            beside = "" if gold is None else f"; gold answers earn {gold:.2f}"
            text = f"{who} {paid:.2f} for {_SAID[kind]}{beside}"
            yield CheckWarning(code="pays_adversary", reward=name, text=text, kind=kind, value=paid)


def _underpaid_gold(rewards: Sequence[CheckedReward], answers: Sequence[ScoredAnswer]) -> Iterator[CheckWarning]:
    name = rewards[0].name if len(rewards) == 1 else ""
    gold, drawn = _mean(answers, "gold"), _mean(answers, "sample")
    if gold is None:
        return
    if drawn is not None and gold + EQUAL < drawn:
        text = f"Gold answers earn {gold:.2f}, less than the model's own, which earn {drawn:.2f}"
        yield CheckWarning(code="gold_underpaid", reward=name, text=text, kind="gold", value=gold)
    elif gold <= EQUAL:
        text = f"Gold answers earn {gold:.2f}: the rows' own answers should be worth something"
        yield CheckWarning(code="gold_underpaid", reward=name, text=text, kind="gold", value=gold)


def _flat(rows: Sequence[CheckedRow]) -> Iterator[CheckWarning]:
    share = no_spread_share(rows)
    if share is not None and share >= FLAT_SHARE:
        text = f"{share:.0%} of groups have no spread: nothing is learned from them"
        yield CheckWarning(code="no_spread", reward="", text=text, value=share)


def _slow(answers: Sequence[ScoredAnswer]) -> Iterator[CheckWarning]:
    seconds = fmean([answer.seconds for answer in answers]) if answers else 0.0
    if seconds >= SLOW_SECONDS:
        text = f"Scoring one answer takes {seconds:.1f} s: a step waits that long for each of its answers"
        yield CheckWarning(code="slow", reward="", text=text, value=seconds)


def _mean(answers: Sequence[ScoredAnswer], kind: AnswerKind) -> float | None:
    totals = [answer.total for answer in answers if answer.kind == kind and answer.total is not None]
    return fmean(totals) if totals else None
