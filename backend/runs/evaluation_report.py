"""What an evaluation found: numbers with their uncertainty, how models compare, and the conclusion. `report.json`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from backend.earlier_names import renamed
from backend.jsonl import write_atomically
from backend.spec.evaluation import Check, Contestant

Verdict = Literal["better", "worse", "undecided"]
ConclusionCode = Literal[
    "nothing", "alone", "compared", "image_used", "image_in_part", "image_unused", "forgotten",
    "nothing_to_forget", "not_forgotten", "export_same", "export_differs",
]  # fmt: skip
IMAGES = {"blank": "blank images", "shuffled": "other rows' images"}
FORMS = {"merged": "merged", "4bit": "in 4 bits"}
MIN_DROP = 0.05  # by so much an ability must have fallen to be named
CONCLUSION_TEXTS: dict[ConclusionCode, str] = {
    "nothing": "No chosen metric applies to these answers: choose others",
    "alone": "{first} reaches {value} in {metric} over {rows} rows",
    "compared": "{said}",
    "image_used": "The image is used: {metric} is {value} with the right images, {blank} with blank ones and "
    "{shuffled} with those of other rows",
    "image_in_part": "The image is used in part: {metric} is {value} with the right images, {blank} with blank "
    "ones and {shuffled} with those of other rows; only one of the two differences is beyond chance",
    "image_unused": "These rows do not show that the image is used: {metric} is {value} with the right images, "
    "{blank} with blank ones and {shuffled} with those of other rows, which chance alone may explain. Look for "
    "questions that give their answers away, or ask more rows",
    "forgotten": "Something was forgotten: the probe set went from {before} to {value}{where}. Mix in general rows, "
    "train for fewer steps, or take LoRA",
    "nothing_to_forget": "There was nothing to forget: {second} answers none of the probe set",
    "not_forgotten": "Nothing was forgotten as far as {rows} probes can tell: the probe set went from {before} to "
    "{value}{where}",
    "export_same": "Merged and in 4 bits, all {rows} answers are the same as those of the checkpoint",
    "export_differs": "Of {rows} answers {merged} are the same merged, and {four_bit} in 4 bits{judged}",
}


class _ReportPart(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MetricFacts(_ReportPart):
    """How a metric's numbers are to be read."""

    name: str
    is_share: bool  # from 0 to 1, shown in per cent
    is_lower_better: bool = False
    is_own: bool = False  # the person's own
    notice: str = ""  # why its numbers say little here; empty where they are sound


class Measure(_ReportPart):
    """One number, the 95 % interval around it, and over how many rows."""

    value: float
    low: float
    high: float
    n: int


class ContestantResult(_ReportPart):
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


class Difference(_ReportPart):
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


class Agreement(_ReportPart):
    """On how many rows two sides gave the very same answer."""

    first: int
    second: int
    same: int
    rows: int


class MetricFailures(_ReportPart):
    """An own metric that did not always give a number."""

    metric: str
    side: int
    errors: int  # rows without a value by mistake
    example: str


class Conclusion(_ReportPart):
    """The answer to the check's question. `text` is plain English; pages may say `code` in their language."""

    code: ConclusionCode
    values: dict[str, str]
    text: str

    _earlier = model_validator(mode="before")(
        renamed(
            values={"picture_used": "image_used", "picture_in_part": "image_in_part", "picture_unused": "image_unused"}
        )
    )


class EvaluationReport(_ReportPart):
    """All of it."""

    version: Literal[1] = 1
    check: Check
    metrics: tuple[MetricFacts, ...]  # the decisive one first
    sides: tuple[ContestantResult, ...]
    differences: tuple[Difference, ...]
    agreements: tuple[Agreement, ...]
    rows: int  # asked
    too_long: int  # left out: longer than `data.max_tokens`
    troubles: tuple[MetricFailures, ...] = ()
    conclusion: Conclusion

    _earlier = model_validator(mode="before")(renamed(values={"picture": "image"}))


def write_report(path: Path, report: EvaluationReport) -> None:
    """Write it whole. Raises OSError where the disk refuses."""
    write_atomically(path, report.model_dump_json(indent=1).encode())


def read_report(path: Path) -> EvaluationReport | None:
    """Read it; None where there is none (yet)."""
    return EvaluationReport.model_validate_json(path.read_bytes()) if path.is_file() else None


def label_of(contestant: Contestant) -> str:
    """How a contestant is called in tables."""
    varied = [FORMS.get(contestant.form, ""), IMAGES.get(contestant.images, "")]
    return " · ".join([contestant.checkpoint, *(each for each in varied if each)])


def conclusion(report: EvaluationReport) -> Conclusion:
    """One or two sentences: what was asked, and what the answers say."""
    decisive = report.metrics[0].name if report.metrics else ""
    if decisive not in report.sides[0].measures:
        return _conclude("nothing", {})
    conclude = {"quality": _quality, "image": _image, "forgetting": _forgetting, "export": _export}
    code, values = conclude[report.check](report)
    common = {
        "first": report.sides[0].label,
        "metric": decisive,
        "rows": f"{report.rows:,}",
        "value": format_metric(report, report.sides[0]),
    }
    return _conclude(code, common | values)


def format_metric(report: EvaluationReport, side: ContestantResult, metric: str = "") -> str:
    """A metric, by default the decisive one, as people read it: a share in per cent."""
    facts = next((each for each in report.metrics if each.name == metric), report.metrics[0])
    measure = side.measures.get(facts.name)
    if measure is None:
        return "no value"
    return f"{measure.value:.1%}" if facts.is_share else f"{measure.value:.4g}"


def fallen_groups(report: EvaluationReport, after: ContestantResult, before: ContestantResult) -> list[str]:
    """The abilities that got worse by more than 5 points of the decisive metric."""
    name, sign = report.metrics[0].name, -1 if report.metrics[0].is_lower_better else 1
    return sorted(
        group
        for group, values in before.groups.items()
        if name in values
        and name in after.groups.get(group, {})
        and sign * (values[name] - after.groups[group][name]) > MIN_DROP
    )


def _conclude(code: ConclusionCode, values: dict[str, str]) -> Conclusion:
    return Conclusion(code=code, values=values, text=CONCLUSION_TEXTS[code].format(**values))


def _decisive(report: EvaluationReport) -> list[Difference]:
    return [each for each in report.differences if each.metric == report.metrics[0].name]


def _quality(report: EvaluationReport) -> tuple[ConclusionCode, dict[str, str]]:
    differences = _decisive(report)
    if not differences:
        return ("alone" if len(report.sides) == 1 else "nothing"), {}
    return "compared", {"said": ". ".join(each.text for each in differences)}


def _image(report: EvaluationReport) -> tuple[ConclusionCode, dict[str, str]]:
    """By the first of the metrics that tells most of the differences: an exact match may be too strict to tell any."""
    names = [facts.name for facts in report.metrics]
    better_counts = {
        name: sum(each.metric == name and each.verdict == "better" for each in report.differences) for name in names
    }
    metric = max(names, key=lambda name: better_counts[name])
    values: dict[str, str] = {side.contestant.images: format_metric(report, side, metric) for side in report.sides[1:]}
    values |= {"metric": metric, "value": format_metric(report, report.sides[0], metric)}
    codes: tuple[ConclusionCode, ...] = ("image_unused", "image_in_part", "image_used")
    return codes[better_counts[metric]], values


def _forgetting(report: EvaluationReport) -> tuple[ConclusionCode, dict[str, str]]:
    after, before = report.sides[0], report.sides[1]
    fallen = fallen_groups(report, after, before)
    values = {
        "second": before.label,
        "before": format_metric(report, before),
        "where": f"; less right in {', '.join(fallen)}" if fallen else "",
    }
    measure = before.measures.get(report.metrics[0].name)
    if measure is None or (not measure.value and not report.metrics[0].is_lower_better):
        return "nothing_to_forget", values
    is_worse = any(each.verdict == "worse" for each in _decisive(report))
    return ("forgotten" if is_worse else "not_forgotten"), values


def _export(report: EvaluationReport) -> tuple[ConclusionCode, dict[str, str]]:
    same = {report.sides[each.second].contestant.form: each for each in report.agreements}
    values = {"merged": f"{same['merged'].same:,}", "four_bit": f"{same['4bit'].same:,}"}
    if all(each.same == each.rows for each in report.agreements):
        return "export_same", values
    return "export_differs", values | {"judged": _judged(_decisive(report))}


def _judged(differences: Sequence[Difference]) -> str:
    differing = [each.text for each in differences if each.verdict != "undecided"]
    return ". " + ". ".join(differing) if differing else "; the decisive metric does not differ beyond chance"
