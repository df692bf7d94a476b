"""An evaluation as its page shows it: how far it is, what it found so far, and the report once it is over."""

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.jsonl import lines_from
from backend.metrics.library import METRICS
from backend.runs.answers import answers_path
from backend.runs.evaluation_report import ContestantResult, Difference, EvaluationReport, MetricFacts, read_report
from backend.spec.evaluation import Contestant
from backend.store.views import RunView
from studio.ui.i18n import Translate

MOST_FILES = 64  # remembered
View = dict[str, Any]
Names = Mapping[str, str]


@dataclass(slots=True)
class ScoreSums:
    """Sums over the lines of one file so far."""

    inode: int
    offset: int = 0
    rows: int = 0
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)  # by metric: its sum, and over how many rows

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the rows it applies to."""
        return {name: total / count for name, (total, count) in self.sums.items() if count}


class RunningMeans:
    """Reads on in files of answers. Safe to use from any thread."""

    def __init__(self) -> None:
        self._sums: OrderedDict[Path, ScoreSums] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> ScoreSums | None:
        """The means of a file as it is now; None where there is no file."""
        with self._lock:
            try:
                status = path.stat()
            except OSError:
                return None
            sums = self._sums.get(path)
            if sums is None or sums.inode != status.st_ino or sums.offset > status.st_size:
                sums = self._sums[path] = ScoreSums(status.st_ino)
            self._sums.move_to_end(path)
            if len(self._sums) > MOST_FILES:
                self._sums.popitem(last=False)
            _read_on(path, sums)
            return sums


def evaluation_view(view: RunView, names: Names, running: RunningMeans, t: Translate) -> View:
    """How far an evaluation is, and what is known; the report only once every row was answered.

    Args:
        view: the run.
        names: what people call runs, by id.
        running: reads the answers so far.
        t: the language.
    """
    try:
        report = read_report(view.folder.report) if view.is_over else None
    except (ValidationError, OSError):
        report = None
    return {
        "id": view.id, "name": view.name, "state": view.state, "is_over": view.is_over, "phase": view.phase,
        "step": view.step, "total_steps": view.total_steps, "seconds_left": view.seconds_left,
        "reason": view.reason, "hint": view.hint, "check": view.spec.comparison.check,
        "so_far": [] if report else _so_far(view, names, running, t),
        "report": report and report_view(report, names, t),
    }  # fmt: skip


def report_view(report: EvaluationReport, names: Names, t: Translate) -> View:
    """The report with everything in words."""
    labels = [label_in_words(side.contestant, names, t) for side in report.sides]
    return {
        "conclusion": t(f"conclusion.{report.conclusion.code}", **_values(report, labels, t)),
        "tone": _tone(report),
        "rows": report.rows, "too_long": report.too_long,
        "metrics": [_metric_view(facts, t) for facts in report.metrics],
        "sides": [_side_view(side, label) for side, label in zip(report.sides, labels, strict=True)],
        "differences": [_difference_view(each, report, labels, t) for each in report.differences],
        "agreements": [each.model_dump() for each in report.agreements],
        "groups": _groups_view(report),
        "troubles": [each.model_dump() for each in report.troubles],
    }  # fmt: skip


def label_in_words(contestant: Contestant, names: Names, t: Translate) -> str:
    """A contestant's name in the page's language, a run by the name that people gave it."""
    run, sign, checkpoint = contestant.checkpoint.partition("/")
    named = f"{names[run]}{f' · {checkpoint}' if sign else ''}" if run in names else contestant.checkpoint
    varied = [t(f"form.{contestant.form}") if contestant.form != "saved" else "",
              t(f"shown.{contestant.images}") if contestant.images != "own" else ""]  # fmt: skip
    return " · ".join([named, *(each for each in varied if each)])


def metric_label(name: str, t: Translate) -> str:
    """What a metric is called; a person's own by its name."""
    return t(f"measure.{name}") if name in METRICS else name


def _read_on(path: Path, sums: ScoreSums) -> None:
    while True:
        begun = sums.offset
        for line in lines_from(path, begun):
            sums.offset = line.end
            try:
                scores = json.loads(line.raw)["scores"]
            except (ValueError, KeyError, TypeError):
                continue
            sums.rows += 1
            for name, score in scores.items():
                total, count = sums.sums.get(name, (0.0, 0))
                sums.sums[name] = (total + (score or 0.0), count + (score is not None))
        if sums.offset == begun:
            return


def _values(report: EvaluationReport, labels: list[str], t: Translate) -> dict[str, str]:
    """The values of the conclusion, whole sentences and names in the page's language."""
    values = dict(report.conclusion.values)
    values |= {name: labels[at] for at, name in enumerate(("first", "second")) if name in values}
    if "metric" in values:
        values["metric"] = metric_label(values["metric"], t)
    decisive = [each for each in report.differences if report.metrics and each.metric == report.metrics[0].name]
    if "said" in values:
        values["said"] = t("difference.join").join(_sentence(each, report, labels, t) for each in decisive)
    if "judged" in values:
        sentences = [_sentence(each, report, labels, t) for each in decisive if each.verdict != "undecided"]
        joined = t("difference.join").join(sentences)
        values["judged"] = t("conclusion.judged", said=joined) if sentences else t("conclusion.not_judged")
    if values.get("where"):
        values["where"] = t("conclusion.where", groups=values["where"].partition(" in ")[2])
    return values


def _tone(report: EvaluationReport) -> str:
    """How the conclusion is coloured: good, bad, or neither."""
    code = report.conclusion.code
    if code in ("image_used", "not_forgotten", "export_same"):
        return "good"
    if code in ("image_unused", "forgotten", "nothing"):
        return "bad"
    decisive = [each for each in report.differences if report.metrics and each.metric == report.metrics[0].name]
    first = decisive[0].verdict if decisive and code == "compared" else "undecided"
    return {"better": "good", "worse": "bad", "undecided": "plain"}[first]


def _metric_view(facts: MetricFacts, t: Translate) -> View:
    says = t(f"measure.{facts.name}.says") if facts.name in METRICS else t("evaluate.own_says")
    return facts.model_dump() | {"label": metric_label(facts.name, t), "says": says}


def _side_view(side: ContestantResult, label: str) -> View:
    return {
        "label": label, "rows": side.rows, "cut": side.cut, "unread": side.unread,
        "measures": {name: measure.model_dump() for name, measure in side.measures.items()},
        "per_second": side.rows / max(1e-9, side.seconds), "checkpoint": side.contestant.checkpoint,
    }  # fmt: skip


def _difference_view(each: Difference, report: EvaluationReport, labels: list[str], t: Translate) -> View:
    return {"metric": each.metric, "verdict": each.verdict, "text": _sentence(each, report, labels, t), "p": each.p}


def _sentence(each: Difference, report: EvaluationReport, labels: list[str], t: Translate) -> str:
    """One comparison in words: who is better by how much, or that these rows cannot tell."""
    facts = next(facts for facts in report.metrics if facts.name == each.metric)

    def amount(value: float, *, signed: bool = False) -> str:
        text = f"{value * 100:.1f}" if facts.is_share else f"{value:.3g}"
        return f"+{text}" if signed and value > 0 else text.replace("-", "−")

    unit = t("difference.points") if facts.is_share else ""
    low, high = sorted((abs(each.low), abs(each.high)))
    undecided = each.verdict == "undecided"
    return t(
        f"difference.{each.verdict}", first=labels[each.first], second=labels[each.second],
        by=amount(abs(each.value)), unit=unit,
        low=amount(each.low if undecided else low, signed=undecided),
        high=amount(each.high if undecided else high, signed=undecided), n=f"{each.n:,}",
        tries=t("difference.rare") if each.p < 0.001 else t("difference.tries", n=f"{max(1, round(1 / each.p)):,}"),
    )  # fmt: skip


def _groups_view(report: EvaluationReport) -> list[View]:
    """The decisive metric by dataset or ability, where there is more than one."""
    names = list(report.sides[0].groups)
    if len(names) < 2 or not report.metrics:
        return []
    decisive = report.metrics[0].name
    return [{"name": name, "values": [side.groups.get(name, {}).get(decisive) for side in report.sides]}
            for name in names]  # fmt: skip


def _so_far(view: RunView, names: Names, running: RunningMeans, t: Translate) -> list[View]:
    """Each contestant's answers until now, and the plain means of their rows' scores."""
    sums = []
    for number, contestant in enumerate(view.spec.comparison.contestants):
        so_far = running.of(answers_path(view.folder.answers, number))
        if so_far is not None and so_far.rows:
            means = [
                {"label": metric_label(name, t), "value": value, "is_share": name in METRICS and METRICS[name].is_share}
                for name, value in so_far.means.items()
            ]
            sums.append({"label": label_in_words(contestant, names, t), "rows": so_far.rows, "means": means})
    return sums
