"""The answers of an evaluation, row by row: images with boxes, gold and given answers side by side, worst first."""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from backend.metrics.boxes import boxes_of
from backend.metrics.library import METRICS
from backend.rewards.contract import named_version
from backend.runs.answers import Answer, read_answers
from backend.store.views import RunView
from studio.ui.views import turns_view

Which = Literal["worst", "changed", "disagreement", "cut", "all"]
WHICH: tuple[Which, ...] = get_args(Which)
PAGE = 12  # rows in one answer
View = dict[str, Any]


class RowQuery(NamedTuple):
    """Which part of the wall."""

    which: Which = "worst"
    metric: str = ""  # by which rows are sorted and judged; the decisive one where it is none of the run's
    start: int = 0


class AnsweredRow(NamedTuple):
    """One row with the answers of all contestants that have answered it."""

    answers: tuple[Answer, ...]
    scores: tuple[float | None, ...]  # by the chosen metric

    @property
    def is_changed(self) -> bool:
        """Whether the first answered otherwise than another."""
        return len({answer.given for answer in self.answers}) > 1

    @property
    def distance(self) -> float:
        """How far the scores lie apart."""
        scores = [score for score in self.scores if score is not None]
        return max(scores) - min(scores) if scores else 0.0


def wall_page(view: RunView, query: RowQuery) -> View:
    """One page of the wall.

    Returns:
        `metric` and `metrics` to choose from, `total` rows wanted, `start`, and the `rows` themselves.
    """
    metrics = [named_version(text).name for text in view.spec.comparison.metrics]
    answers = [read_answers(view.folder.answers, number) for number in range(len(view.spec.comparison.contestants))]
    scored = [name for name in metrics if answers and answers[0] and name in answers[0][0].scores]
    metric = query.metric if query.metric in scored else next(iter(scored), "")
    rows = _chosen(_rows(answers, metric), query.which, metric)
    page_rows = rows[query.start : query.start + PAGE]
    return {
        "metric": metric, "metrics": scored, "which": query.which, "total": len(rows), "start": query.start,
        "rows": [_row_view(row, metric) for row in page_rows],
    }  # fmt: skip


def is_better_low(metric: str) -> bool:
    """Whether a metric is an error rate."""
    return metric in METRICS and METRICS[metric].is_lower_better


def _rows(answers: Sequence[Sequence[Answer]], metric: str) -> list[AnsweredRow]:
    """Rows that the first contestant has answered, each with the answers that are there, in the order of the rows."""
    others = [{answer.place: answer for answer in side} for side in answers[1:]]
    rows = []
    for first in answers[0] if answers else ():
        found = (first, *(side[first.place] for side in others if first.place in side))
        rows.append(AnsweredRow(found, tuple(answer.scores.get(metric) for answer in found)))
    return rows


def _chosen(rows: list[AnsweredRow], which: Which, metric: str) -> list[AnsweredRow]:
    sign = -1.0 if is_better_low(metric) else 1.0

    def quality(row: AnsweredRow) -> float:
        return sign * row.scores[0] if row.scores[0] is not None else float("inf")

    kept: dict[Which, Callable[[], list[AnsweredRow]]] = {
        "all": lambda: rows,
        "worst": lambda: sorted(rows, key=quality),
        "changed": lambda: sorted((row for row in rows if row.is_changed), key=quality),
        "disagreement": lambda: sorted((row for row in rows if row.distance > 0), key=lambda row: -row.distance),
        "cut": lambda: [row for row in rows if any(answer.is_cut for answer in row.answers)],
    }
    return kept[which]()


def _row_view(row: AnsweredRow, metric: str) -> View:
    first = row.answers[0]
    images = [{"of": f"dataset/{first.dataset}", "name": path.removeprefix("images/")} for path in first.images]
    return {
        "id": first.row, "dataset": first.dataset, "turns": turns_view(first.asked, images), "gold": first.gold,
        "references": list(first.references), "images": images, "gold_boxes": _boxes(first.gold, first),
        "answers": [
            {"given": answer.given, "score": score, "is_cut": answer.is_cut, "boxes": _boxes(answer.given, answer),
             "is_right": _is_right(score, metric)}
            for answer, score in zip(row.answers, row.scores, strict=True)
        ],
    }  # fmt: skip


def _is_right(score: float | None, metric: str) -> bool | None:
    """Whether a score is as good as it can be; None where nothing is known."""
    if score is None:
        return None
    return score <= 0 if is_better_low(metric) else score >= 1


def _boxes(text: str, answer: Answer) -> list[list[float]]:
    """The boxes in an answer as shares of the image: left, top, right, bottom from 0 to 1."""
    if answer.frame is None or len(answer.images) != 1:
        return []
    width, height = answer.frame
    spans = (width, height, width, height)
    return [
        [round(min(1.0, max(0.0, edge / span)), 4) for edge, span in zip(box, spans, strict=True)]
        for box in boxes_of(text)
    ]
