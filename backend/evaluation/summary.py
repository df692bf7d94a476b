"""From answers to a report: numbers with their intervals, paired comparisons, and a conclusion in plain words."""

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

from backend.evaluation.conclusions import conclusion, label_of
from backend.evaluation.report import (
    Agreement,
    Conclusion,
    Difference,
    Measure,
    MetricFacts,
    OwnTrouble,
    Report,
    Side,
)  # fmt: skip
from backend.evaluation.scoring import answered_of, metrics_of, table_of
from backend.metrics.intervals import intervals
from backend.metrics.library import METRICS
from backend.metrics.metric import Metric, Table
from backend.metrics.names import FACTS, notice
from backend.metrics.significance import Comparison, all_compared, holm, said, verdict_of
from backend.runs.answers import Answer
from backend.spec.run import RunSpec


class Answers(NamedTuple):
    """All that one contestant said, in the order of the rows, and how long that took."""

    answers: list[Answer]
    seconds: float
    bounds: tuple[int, int]  # of its pictures in px
    troubles: tuple[OwnTrouble, ...] = ()


def summed_up(spec: RunSpec, said_by: Sequence[Answers], too_long: int) -> Report:
    """Judge all answers.

    Args:
        spec: of the evaluation.
        said_by: each contestant's answers, over the same rows.
        too_long: rows that were left out.
    """
    metrics = metrics_of(spec.comparison.metrics)
    tables = [[table_of(metric, side.answers) for metric in metrics] for side in said_by]
    sides = tuple(_side(spec, number, said_by[number], metrics, tables[number]) for number in range(len(said_by)))
    pairs = [(first, second) for first, second in combinations(range(len(sides)), 2)
             if spec.comparison.check == "quality" or first == 0]  # fmt: skip
    report = Report(
        check=spec.comparison.check, metrics=tuple(_facts(metric, said_by[0].answers) for metric in metrics),
        sides=sides, differences=tuple(_differences(metrics, tables, sides, pairs)),
        agreements=tuple(_agreement(said_by, *pair) for pair in pairs), rows=len(said_by[0].answers),
        too_long=too_long, troubles=tuple(trouble for side in said_by for trouble in side.troubles),
        conclusion=Conclusion(code="nothing", values={}, text=""),
    )  # fmt: skip
    return report.model_copy(update={"conclusion": conclusion(report)})


def groups_of(answers: Sequence[Answer], check: str) -> dict[str, list[int]]:
    """The places of answers by dataset; of the probe set by ability, which a row's name begins with."""
    found: dict[str, list[int]] = {}
    for place, answer in enumerate(answers):
        group = answer.row.rpartition("-")[0] if check == "forgetting" else answer.dataset
        found.setdefault(group or answer.dataset, []).append(place)
    return found


def _side(spec: RunSpec, number: int, said_by: Answers, metrics: Sequence[Metric], tables: Sequence[Table]) -> Side:
    contestant = spec.comparison.contestants[number]
    answers = said_by.answers
    found = intervals(list(zip(metrics, tables, strict=True)))
    measures = {metric.name: Measure(value=each.value, low=each.low, high=each.high, n=each.n)
                for metric, each in zip(metrics, found, strict=True) if each is not None}  # fmt: skip
    return Side(
        contestant=contestant, label=label_of(contestant), rows=len(answers),
        cut=sum(answer.is_cut for answer in answers), unread=_unread(metrics, answers), measures=measures,
        groups=_grouped(metrics, tables, groups_of(answers, spec.comparison.check)), seconds=said_by.seconds,
        tokens=sum(answer.tokens for answer in answers), min_pixels=said_by.bounds[0], max_pixels=said_by.bounds[1],
    )  # fmt: skip


def _unread(metrics: Sequence[Metric], answers: Sequence[Answer]) -> dict[str, int]:
    answered = [answered_of(answer) for answer in answers]
    return {metric.name: sum(metric.is_unread(each) for each in answered) for metric in metrics if metric.is_unread}


def _grouped(
    metrics: Sequence[Metric], tables: Sequence[Table], groups: dict[str, list[int]]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for group, places in groups.items():
        values = {metric.name: float(metric.value(table[places].sum(axis=0)))
                  for metric, table in zip(metrics, tables, strict=True)}  # fmt: skip
        found[group] = {name: value for name, value in values.items() if value == value}
    return found


def _facts(metric: Metric, answers: Sequence[Answer]) -> MetricFacts:
    golds = sum(1 + len(answer.references) for answer in answers)
    told = notice(metric.name, len(answers), golds / max(1, len(answers))) if metric.name in FACTS else None
    return MetricFacts(
        name=metric.name, is_share=metric.is_share, is_lower_better=metric.is_lower_better,
        is_own=metric.name not in METRICS, notice=told or "",
    )  # fmt: skip


def _differences(
    metrics: Sequence[Metric], tables: Sequence[Sequence[Table]], sides: Sequence[Side],
    pairs: Sequence[tuple[int, int]],
) -> list[Difference]:  # fmt: skip
    if not metrics:
        return []
    columns = range(len(metrics))
    by_pair = [
        all_compared([(metrics[at], tables[second][at], tables[first][at]) for at in columns])
        for first, second in pairs
    ]
    found = []
    for at, metric in enumerate(metrics):
        known = [(pair, each) for pair, compared in zip(pairs, by_pair, strict=True) if (each := compared[at])]
        for (pair, each), p in zip(known, holm([each.p for _, each in known]), strict=True):
            found.append(_difference(metric, each, p, pair, sides))
    return found


def _difference(
    metric: Metric, found: Comparison, p: float, pair: tuple[int, int], sides: Sequence[Side]
) -> Difference:
    verdict = verdict_of(found, is_lower_better=metric.is_lower_better, adjusted_p=p)
    text = said(found, verdict, p, second="the first", is_share=metric.is_share)
    first, second = pair
    return Difference(
        metric=metric.name, first=first, second=second, value=found.difference.value, low=found.difference.low,
        high=found.difference.high, n=found.difference.n, p=p, verdict=verdict,
        text=f"{sides[first].label} against {sides[second].label}: {text}",
    )  # fmt: skip


def _agreement(said_by: Sequence[Answers], first: int, second: int) -> Agreement:
    pairs = list(zip(said_by[first].answers, said_by[second].answers, strict=True))
    return Agreement(first=first, second=second, same=sum(one.given == other.given for one, other in pairs),
                     rows=len(pairs))  # fmt: skip
