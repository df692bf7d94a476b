"""Score answers as they come: by the studio's metrics, and by a person's own in their worker."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backend.metrics.library import METRICS
from backend.metrics.metric import Answered, Metric, Table
from backend.rewards.naming import named
from backend.rewards.paid import own_metrics, reward_batch
from backend.runs.answers import Answer
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

Scores = dict[str, float | None]


class Scorer:
    """Gives each answer its scores. Use as a context: own metrics run in workers, which end with it."""

    def __init__(self, spec: RunSpec, folder: RunFolder, datasets: Sequence[Path]) -> None:
        """Take the metrics of the spec; workers may read the pictures of `datasets`. Raises SpecError."""
        names = spec.comparison.metrics
        self._studio = [METRICS[name] for name in names if name in METRICS and METRICS[name].is_row_local]
        self._own = own_metrics(spec, [name for name in names if name not in METRICS], folder, datasets)
        self.errors: Counter[str] = Counter()  # by own metric: answers without a value by mistake
        self.examples: dict[str, str] = {}  # by own metric, one of the mistakes

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(self, *_: object) -> None:
        for metric in self._own:
            metric.close()

    def scores(
        self, answered: Sequence[Answered], raw: Sequence[str], columns: Sequence[dict[str, Any]]
    ) -> list[Scores]:
        """Score B answers.

        Args:
            answered: golds, and what was given, both in the pixels of the stored picture.
            raw: what the model wrote; own metrics get it, with the gold answer in the pixels that the model sees.
            columns: of each row, as rewards see them.
        """
        found: list[Scores] = [{} for _ in answered]
        for metric in self._studio:
            for scores, value in zip(found, metric.rows(answered), strict=True):
                scores[metric.name] = value
        for own in self._own:
            said = own.tried(reward_batch(raw, columns))
            for scores, value in zip(found, said.values, strict=True):
                scores[own.__name__] = value
            if said.errors:
                self.errors[own.__name__] += said.errors
                self.examples.setdefault(own.__name__, said.mistake)
        return found

    def take_errors(self) -> tuple[dict[str, int], dict[str, str]]:
        """How often each own metric failed since the last time, and an example of each."""
        taken = dict(self.errors), dict(self.examples)
        self.errors.clear()
        self.examples.clear()
        return taken


def answered_of(answer: Answer) -> Answered:
    """An answer as metrics take it."""
    return Answered(answer.gold, answer.given, answer.references)


def metrics_of(names: Sequence[str]) -> list[Metric]:
    """The metrics of a spec, an own one as the mean of the values it gave."""
    return [METRICS[name] if name in METRICS else own_metric(named(name).name) for name in names]


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

    def nothing(_: Sequence[Answered]) -> Table:
        raise ValueError(f"the values of `{name}` are in the answers")

    return Metric(name, nothing, mean, is_share=False)
