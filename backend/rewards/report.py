"""A dry run of rewards: what they pay on real rows, and what that warns of. `check.json` in the run's folder."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message
from backend.jsonl import write_atomically
from backend.rewards.contract import Isolation

# gold: the row's own answer; sample: the model's; the others are answers no reward should pay for
AnswerKind = Literal["gold", "sample", "empty", "repeated", "tags", "long"]
ADVERSARIES: tuple[AnswerKind, ...] = ("empty", "repeated", "tags", "long")
WarningCode = Literal["pays_adversary", "gold_underpaid", "no_spread", "fails", "never_applies", "slow"]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CheckedReward(_Plain):
    """One reward that was looked at."""

    name: str
    weight: float
    sha256: str


class ScoredAnswer(_Plain):
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


class CheckedRow(_Plain):
    """One row with every answer that was scored for it."""

    row: str
    dataset: str
    images: tuple[str, ...]  # relative to the dataset's folder
    asked: tuple[Message, ...]
    gold: str
    answers: tuple[ScoredAnswer, ...]
    spread: float | None  # standard deviation of the samples' totals; None without samples


class CheckWarning(_Plain):
    """Something a person should know before a run. `text` is plain English; pages may say `code` in their language."""

    code: WarningCode
    reward: str  # "" where it is about all of them together
    text: str
    kind: AnswerKind | None = None  # which adversary
    value: float = 0.0  # what it pays, the share without spread, the seconds, ...


class CheckReport(_Plain):
    """All of it."""

    rewards: tuple[CheckedReward, ...]
    checkpoint: str  # whose samples; "" without
    rows: tuple[CheckedRow, ...]
    no_spread_share: float | None  # of the groups; None without samples
    warnings: tuple[CheckWarning, ...]
    isolation: Isolation
    passed: bool  # every reward gave a number for some row and failed for none


def write_report(path: Path, report: CheckReport) -> None:
    """Write it whole. Raises OSError where the disk refuses."""
    write_atomically(path, report.model_dump_json().encode())


def read_report(path: Path) -> CheckReport | None:
    """Read it; None where there is none (yet)."""
    return CheckReport.model_validate_json(path.read_bytes()) if path.is_file() else None
