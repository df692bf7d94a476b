"""What an evaluation found: each contestant's numbers with their uncertainty, and how they compare. `report.json`."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from backend.jsonl import write_atomically
from backend.spec.comparing import Check, Contestant

Verdict = Literal["better", "worse", "undecided"]
ConclusionCode = Literal[
    "nothing", "alone", "compared", "picture_used", "picture_in_part", "picture_unused", "forgotten",
    "nothing_to_forget", "not_forgotten", "export_same", "export_differs",
]  # fmt: skip


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MetricFacts(_Plain):
    """How a metric's numbers are to be read."""

    name: str
    is_share: bool  # from 0 to 1, shown in per cent
    is_lower_better: bool = False
    is_own: bool = False  # the person's own
    notice: str = ""  # why its numbers say little here; empty where they are sound


class Measure(_Plain):
    """One number, the 95 % interval around it, and over how many rows."""

    value: float
    low: float
    high: float
    n: int


class Side(_Plain):
    """One contestant's results."""

    contestant: Contestant
    label: str
    rows: int
    cut: int  # answers that did not end in time
    unread: dict[str, int]  # by metric: answers that are no box, number, letter, ... although the gold one is
    measures: dict[str, Measure]  # by metric; one that applies to no row is absent
    groups: dict[str, dict[str, float]]  # by dataset, or by ability of the probe set: the metrics over its rows
    seconds: float  # spent answering
    tokens: int  # of all answers
    min_pixels: int
    max_pixels: int


class Difference(_Plain):
    """How much more of a metric one side has than another, over the same rows."""

    metric: str
    first: int  # number of a side, from 0
    second: int
    value: float  # first minus second
    low: float
    high: float
    n: int
    p: float  # paired randomisation test, adjusted by Holm over the pairs of this metric
    verdict: Verdict  # about the first
    text: str  # in plain words


class Agreement(_Plain):
    """On how many rows two sides gave the very same answer."""

    first: int
    second: int
    same: int
    rows: int


class OwnTrouble(_Plain):
    """An own metric that did not always give a number."""

    metric: str
    side: int
    errors: int  # rows without a value by mistake
    example: str


class Conclusion(_Plain):
    """The answer to the check's question. `text` is plain English; pages may say `code` in their language."""

    code: ConclusionCode
    values: dict[str, str]
    text: str


class Report(_Plain):
    """All of it."""

    version: Literal[1] = 1
    check: Check
    metrics: tuple[MetricFacts, ...]  # the decisive one first
    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]
    agreements: tuple[Agreement, ...]
    rows: int  # asked
    too_long: int  # left out: longer than `data.max_tokens`
    troubles: tuple[OwnTrouble, ...] = ()
    conclusion: Conclusion


def write_report(path: Path, report: Report) -> None:
    """Write it whole. Raises OSError where the disk refuses."""
    write_atomically(path, report.model_dump_json(indent=1).encode())


def read_report(path: Path) -> Report | None:
    """Read it; None where there is none (yet)."""
    return Report.model_validate_json(path.read_bytes()) if path.is_file() else None
