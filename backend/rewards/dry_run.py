"""A dry run of rewards: what they pay on real rows and easy ways out, and what that warns of. `check.json`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from backend.conversation import Message
from backend.earlier_names import renamed
from backend.jsonl import write_atomically
from backend.rewards.contract import Isolation

# gold: the row's own answer; sample: the model's; the others are answers no reward should pay for
AnswerKind = Literal["gold", "sample", "empty", "repeated", "tags", "long"]
ADVERSARIES: tuple[AnswerKind, ...] = ("empty", "repeated", "tags", "long")
WarningCode = Literal["pays_adversary", "gold_underpaid", "no_spread", "fails", "never_applies", "slow"]
REPEATS = 50
LONG_CHARACTERS = 10_000
_FILLER = "The image shows what was asked for. "
FLAT_SHARE = 0.6  # of groups without spread, above which a run learns little (TRL #3857, verl #1109)
MIN_SHARE_OF_GOLD = 0.5  # of what gold answers earn, from which an adversary counts as paid
SLOW_SECONDS = 1.0  # an answer
EQUAL = 1e-6
_ADVERSARY_TEXT: dict[AnswerKind, str] = {
    "empty": "an empty answer",
    "repeated": "the gold answer written 50 times over",
    "tags": "empty tags without an answer",
    "long": "10,000 characters of filler",
}


class _ReportModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DryRunReward(_ReportModel):
    """One reward that was looked at."""

    name: str
    weight: float
    sha256: str


class ScoredAnswer(_ReportModel):
    """One answer and what it earns."""

    kind: AnswerKind
    text: str  # cut where it is very long
    total: float | None  # weighted sum; None where no reward applies
    values: dict[str, float | None]  # of each reward
    parts: dict[str, float | None] = {}  # "reward/part"
    seconds: float = 0.0
    printed: str = ""
    problems: dict[str, str] = {}  # by reward, why its value is missing: "ZeroDivisionError: division by zero"
    traceback: str = ""

    @property
    def problem(self) -> str:
        """All of them, as one line."""
        return "; ".join(f"{name}: {why}" for name, why in self.problems.items())


class DryRunRow(_ReportModel):
    """One row with every answer that was scored for it."""

    row: str
    dataset: str
    images: tuple[str, ...]  # relative to the dataset's folder
    prompt: tuple[Message, ...]  # without the gold answer
    gold: str
    answers: tuple[ScoredAnswer, ...]
    spread: float | None  # standard deviation of the samples' totals; None without samples

    _earlier = model_validator(mode="before")(renamed({"asked": "prompt"}))


class DryRunWarning(_ReportModel):
    """Something a person should know before a run. `text` is plain English; pages may say `code` in their language."""

    code: WarningCode
    reward: str  # "" where it is about all of them together
    text: str
    kind: AnswerKind | None = None  # which adversary
    value: float = 0.0  # what it pays, the share without spread, the seconds, ...


class DryRunReport(_ReportModel):
    """All of it."""

    rewards: tuple[DryRunReward, ...]
    checkpoint: str  # whose samples; "" without
    rows: tuple[DryRunRow, ...]
    no_spread_share: float | None  # of the groups; None without samples
    warnings: tuple[DryRunWarning, ...]
    isolation: Isolation
    passed: bool  # every reward gave a number for some row and failed for none


def write_report(path: Path, report: DryRunReport) -> None:
    """Write it whole. Raises OSError where the disk refuses."""
    write_atomically(path, report.model_dump_json().encode())


def read_report(path: Path) -> DryRunReport | None:
    """Read it; None where there is none (yet)."""
    return DryRunReport.model_validate_json(path.read_bytes()) if path.is_file() else None


def adversaries(gold: str) -> dict[AnswerKind, str]:
    """One answer of each kind, for a row whose gold answer is `gold`."""
    return {
        "empty": "",
        "repeated": " ".join([gold] * REPEATS),
        "tags": "<think></think><answer></answer>",
        "long": (_FILLER * (LONG_CHARACTERS // len(_FILLER) + 1))[:LONG_CHARACTERS],
    }


def weighted_total(values: Sequence[float | None], weights: Sequence[float]) -> float | None:
    """The weighted sum of what rewards paid; None where none of them applies."""
    weighted = [value * weight for value, weight in zip(values, weights, strict=True) if value is not None]
    return sum(weighted) if weighted else None


def no_spread_share(rows: Sequence[DryRunRow]) -> float | None:
    """Share of the groups whose samples all earn the same; None without samples."""
    spreads = [row.spread for row in rows if row.spread is not None]
    return sum(spread < EQUAL for spread in spreads) / len(spreads) if spreads else None


def find_warnings(rewards: Sequence[DryRunReward], rows: Sequence[DryRunRow]) -> list[DryRunWarning]:
    """Everything that a person should know before a run, the gravest first."""
    answers = [answer for row in rows for answer in row.answers]
    return [
        *_failures(rewards, answers),
        *_rewarded_adversaries(rewards, answers),
        *_underpaid_gold(rewards, answers),
        *_flat_groups(rows),
        *_slow(answers),
    ]


def _failures(rewards: Sequence[DryRunReward], answers: Sequence[ScoredAnswer]) -> Iterator[DryRunWarning]:
    for reward in rewards:
        name = reward.name
        failed = [answer for answer in answers if name in answer.problems]
        if failed:
            share = len(failed) / len(answers)
            text = f"`{name}` fails for {len(failed)} of {len(answers)} answers: {failed[0].problems[name]}"
            yield DryRunWarning(code="fails", reward=name, text=text, value=share)
        elif all(answer.values.get(name) is None for answer in answers):
            yield DryRunWarning(
                code="never_applies", reward=name, text=f"`{name}` gives no value for any of these rows"
            )


def _rewarded_adversaries(rewards: Sequence[DryRunReward], answers: Sequence[ScoredAnswer]) -> Iterator[DryRunWarning]:
    """What all together pay: a part that pays for brevity alone is no mistake beside one that asks for truth."""
    gold, name = _mean(answers, "gold"), rewards[0].name if len(rewards) == 1 else ""
    for kind in ADVERSARIES:
        mean_total = _mean(answers, kind)
        if mean_total is not None and mean_total > EQUAL and (gold is None or mean_total >= MIN_SHARE_OF_GOLD * gold):
            who = f"`{name}` pays" if name else "Together the rewards pay"
            beside = "" if gold is None else f"; gold answers earn {gold:.2f}"
            text = f"{who} {mean_total:.2f} for {_ADVERSARY_TEXT[kind]}{beside}"
            yield DryRunWarning(code="pays_adversary", reward=name, text=text, kind=kind, value=mean_total)


def _underpaid_gold(rewards: Sequence[DryRunReward], answers: Sequence[ScoredAnswer]) -> Iterator[DryRunWarning]:
    name = rewards[0].name if len(rewards) == 1 else ""
    gold, sampled = _mean(answers, "gold"), _mean(answers, "sample")
    if gold is None:
        return
    if sampled is not None and gold + EQUAL < sampled:
        text = f"Gold answers earn {gold:.2f}, less than the model's own, which earn {sampled:.2f}"
        yield DryRunWarning(code="gold_underpaid", reward=name, text=text, kind="gold", value=gold)
    elif gold <= EQUAL:
        text = f"Gold answers earn {gold:.2f}: the rows' own answers should be worth something"
        yield DryRunWarning(code="gold_underpaid", reward=name, text=text, kind="gold", value=gold)


def _flat_groups(rows: Sequence[DryRunRow]) -> Iterator[DryRunWarning]:
    share = no_spread_share(rows)
    if share is not None and share >= FLAT_SHARE:
        text = f"{share:.0%} of groups have no spread: nothing is learned from them"
        yield DryRunWarning(code="no_spread", reward="", text=text, value=share)


def _slow(answers: Sequence[ScoredAnswer]) -> Iterator[DryRunWarning]:
    seconds = fmean([answer.seconds for answer in answers]) if answers else 0.0
    if seconds >= SLOW_SECONDS:
        text = f"Scoring one answer takes {seconds:.1f} s: a step waits that long for each of its answers"
        yield DryRunWarning(code="slow", reward="", text=text, value=seconds)


def _mean(answers: Sequence[ScoredAnswer], kind: AnswerKind) -> float | None:
    totals = [answer.total for answer in answers if answer.kind == kind and answer.total is not None]
    return fmean(totals) if totals else None
