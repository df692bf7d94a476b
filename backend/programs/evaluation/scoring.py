"""From answers to a report: scores a row, numbers with their intervals, paired comparisons, and the conclusion."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backend.metrics.bootstrap import intervals
from backend.metrics.library import METRICS
from backend.metrics.metric import Metric, MetricInput, Table
from backend.metrics.significance import Comparison, all_compared, describe_comparison, holm, verdict_of
from backend.rewards.contract import named_version
from backend.rewards.trl_reward import build_own_metrics, build_reward_batch
from backend.runs.answers import Answer
from backend.runs.evaluation_report import (
    Agreement,
    Conclusion,
    ContestantResult,
    Difference,
    EvaluationReport,
    Measure,
    MetricFacts,
    MetricFailures,
    conclusion,
    label_of,
)
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

Scores = dict[str, float | None]


class Scorer:
    """Gives each answer its scores. Use as a context: own metrics run in workers, which end with it."""

    def __init__(self, spec: RunSpec, folder: RunFolder, datasets: Sequence[Path]) -> None:
        """Take the metrics of the spec; workers may read the images of `datasets`. Raises SpecError."""
        names = spec.comparison.metrics
        self._studio = [METRICS[name] for name in names if name in METRICS and METRICS[name].is_row_local]
        self._own = build_own_metrics(spec, [name for name in names if name not in METRICS], folder, datasets)
        self.errors: Counter[str] = Counter()  # by own metric: answers without a value by mistake
        self.examples: dict[str, str] = {}  # by own metric, one of the mistakes

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_: object) -> None:
        for metric in self._own:
            metric.close()

    def scores(
        self, answered: Sequence[MetricInput], raw: Sequence[str], columns: Sequence[dict[str, Any]]
    ) -> list[Scores]:
        """Score B answers.

        Args:
            answered: golds, and what was given, both in the pixels of the stored image.
            raw: what the model wrote; own metrics get it, with the gold answer in the pixels that the model sees.
            columns: of each row, as rewards see them.
        """
        row_scores: list[Scores] = [{} for _ in answered]
        for metric in self._studio:
            for scores, value in zip(row_scores, metric.rows(answered), strict=True):
                scores[metric.name] = value
        for own in self._own:
            scored = own.score_unless_lost(build_reward_batch(raw, columns))
            for scores, value in zip(row_scores, scored.values, strict=True):
                scores[own.__name__] = value
            if scored.error_count:
                self.errors[own.__name__] += scored.error_count
                self.examples.setdefault(own.__name__, scored.first_error)
        return row_scores

    def take_errors(self) -> tuple[dict[str, int], dict[str, str]]:
        """How often each own metric failed since the last time, and an example of each."""
        errors_and_examples = dict(self.errors), dict(self.examples)
        self.errors.clear()
        self.examples.clear()
        return errors_and_examples


def answered_of(answer: Answer) -> MetricInput:
    """An answer as metrics take it."""
    return MetricInput(answer.gold, answer.given, answer.references)


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of a spec, an own one as the mean of the values it gave."""
    return [METRICS[name] if name in METRICS else own_metric(named_version(name).name) for name in names]


def table_of(metric: Metric, answers: Sequence[Answer]) -> Table:
    """What each answer adds to a metric, (n, k)."""
    if metric.name in METRICS:
        return metric.statistics([answered_of(answer) for answer in answers])
    values = [answer.scores.get(metric.name) for answer in answers]
    return np.array([[value or 0.0, float(value is not None)] for value in values]).reshape(len(values), 2)


def own_metric(name: str) -> Metric:
    """The mean over the rows to which a person's metric gave a number; its statistics come from those numbers."""

    def mean(sums: Table) -> Table:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(sums[..., 0] / sums[..., 1])

    def nothing(_: Sequence[MetricInput]) -> Table:
        raise ValueError(f"the values of `{name}` are in the answers")

    return Metric(name, nothing, mean, is_share=False)


class ContestantAnswers(NamedTuple):
    """All that one contestant said, in the order of the rows, and how long that took."""

    answers: list[Answer]
    seconds: float
    bounds: tuple[int, int]  # of its images in px
    troubles: tuple[MetricFailures, ...] = ()


def build_report(spec: RunSpec, answers_by_side: Sequence[ContestantAnswers], too_long: int) -> EvaluationReport:
    """Judge all answers.

    Args:
        spec: of the evaluation.
        answers_by_side: each contestant's answers, over the same rows.
        too_long: rows that were left out.
    """
    metrics = metrics_of(spec.comparison.metrics)
    tables = [[table_of(metric, side.answers) for metric in metrics] for side in answers_by_side]
    sides = tuple(
        _side(spec, number, answers_by_side[number], metrics, tables[number]) for number in range(len(answers_by_side))
    )
    pairs = [
        (first, second)
        for first, second in combinations(range(len(sides)), 2)
        if spec.comparison.check == "quality" or first == 0
    ]
    report = EvaluationReport(
        check=spec.comparison.check,
        metrics=tuple(_facts(metric, answers_by_side[0].answers) for metric in metrics),
        sides=sides,
        differences=tuple(_differences(metrics, tables, sides, pairs, spec.comparison.check)),
        agreements=tuple(_agreement(answers_by_side, *pair) for pair in pairs),
        rows=len(answers_by_side[0].answers),
        too_long=too_long,
        troubles=tuple(trouble for side in answers_by_side for trouble in side.troubles),
        conclusion=Conclusion(code="nothing", values={}, text=""),
    )
    return report.model_copy(update={"conclusion": conclusion(report)})


def groups_of(answers: Sequence[Answer], check: str) -> dict[str, list[int]]:
    """The places of answers by dataset; of the probe set by ability, which a row's name begins with."""
    groups: dict[str, list[int]] = {}
    for place, answer in enumerate(answers):
        group = answer.row.rpartition("-")[0] if check == "forgetting" else answer.dataset
        groups.setdefault(group or answer.dataset, []).append(place)
    return groups


def _side(
    spec: RunSpec, number: int, side_answers: ContestantAnswers, metrics: Sequence[Metric], tables: Sequence[Table]
) -> ContestantResult:
    contestant = spec.comparison.contestants[number]
    answers = side_answers.answers
    measured = intervals(list(zip(metrics, tables, strict=True)))
    measures = {
        metric.name: Measure(value=each.value, low=each.low, high=each.high, n=each.n)
        for metric, each in zip(metrics, measured, strict=True)
        if each is not None
    }
    return ContestantResult(
        contestant=contestant,
        label=label_of(contestant),
        rows=len(answers),
        cut=sum(answer.is_cut for answer in answers),
        unread=_unread(metrics, answers),
        measures=measures,
        groups=_grouped(metrics, tables, groups_of(answers, spec.comparison.check)),
        seconds=side_answers.seconds,
        tokens=sum(answer.tokens for answer in answers),
        min_pixels=side_answers.bounds[0],
        max_pixels=side_answers.bounds[1],
    )


def _unread(metrics: Sequence[Metric], answers: Sequence[Answer]) -> dict[str, int]:
    answered = [answered_of(answer) for answer in answers]
    return {metric.name: sum(metric.is_unread(each) for each in answered) for metric in metrics if metric.is_unread}


def _grouped(
    metrics: Sequence[Metric], tables: Sequence[Table], groups: dict[str, list[int]]
) -> dict[str, dict[str, float]]:
    values_by_group: dict[str, dict[str, float]] = {}
    for group, places in groups.items():
        values = {
            metric.name: float(metric.value(table[places].sum(axis=0)))
            for metric, table in zip(metrics, tables, strict=True)
        }
        values_by_group[group] = {name: value for name, value in values.items() if value == value}
    return values_by_group


def _facts(metric: Metric, answers: Sequence[Answer]) -> MetricFacts:
    golds = sum(1 + len(answer.references) for answer in answers)
    return MetricFacts(
        name=metric.name,
        is_share=metric.is_share,
        is_lower_better=metric.is_lower_better,
        is_own=metric.name not in METRICS,
        notice=metric.notice(len(answers), golds / max(1, len(answers))) or "",
    )


def _differences(
    metrics: Sequence[Metric],
    tables: Sequence[Sequence[Table]],
    sides: Sequence[ContestantResult],
    pairs: Sequence[tuple[int, int]],
    check: str,
) -> list[Difference]:
    if not metrics:
        return []
    columns = range(len(metrics))
    comparisons = []
    for first, second in pairs:
        both = [_met_by_both(metrics[at], tables[second][at], tables[first][at]) for at in columns]
        compared = all_compared([(metric, *tables) for metric, tables in zip(metrics, both, strict=True)])
        comparisons += [(at, (first, second), each) for at, each in enumerate(compared) if each is not None]
    comparisons.sort(key=lambda each: each[0])
    adjusted = _adjusted([(at, each.p) for at, _, each in comparisons], together=check == "image")
    return [
        _difference(metrics[at], each, p, pair, sides)
        for (at, pair, each), p in zip(comparisons, adjusted, strict=True)
    ]


def _met_by_both(metric: Metric, second: Table, first: Table) -> tuple[Table, Table]:
    """The tables over the rows to which both sides have a value: an own metric may have failed on one side's."""
    if metric.name in METRICS:
        return second, first
    both = ((first[:, 1] > 0) & (second[:, 1] > 0))[:, None]
    return second * both, first * both


def _adjusted(ps: Sequence[tuple[int, float]], *, together: bool) -> list[float]:
    """Holm's adjustment over the pairs of each metric; over all metrics together where any of them may decide."""
    groups: dict[int, list[int]] = {}
    for place, (at, _) in enumerate(ps):
        groups.setdefault(0 if together else at, []).append(place)
    adjusted = [1.0] * len(ps)
    for places in groups.values():
        for place, p in zip(places, holm([ps[place][1] for place in places]), strict=True):
            adjusted[place] = p
    return adjusted


def _difference(
    metric: Metric, comparison: Comparison, p: float, pair: tuple[int, int], sides: Sequence[ContestantResult]
) -> Difference:
    verdict = verdict_of(comparison, is_lower_better=metric.is_lower_better, adjusted_p=p)
    text = describe_comparison(comparison, verdict, p, second="the first", is_share=metric.is_share)
    first, second = pair
    return Difference(
        metric=metric.name,
        first=first,
        second=second,
        value=comparison.difference.value,
        low=comparison.difference.low,
        high=comparison.difference.high,
        n=comparison.difference.n,
        p=p,
        verdict=verdict,
        text=f"{sides[first].label} against {sides[second].label}: {text}",
    )


def _agreement(answers_by_side: Sequence[ContestantAnswers], first: int, second: int) -> Agreement:
    pairs = list(zip(answers_by_side[first].answers, answers_by_side[second].answers, strict=True))
    return Agreement(
        first=first, second=second, same=sum(one.given == other.given for one, other in pairs), rows=len(pairs)
    )
