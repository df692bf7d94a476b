"""Measure the model on held-out rows while it learns: its loss, and the answers that it really gives."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import distributed, nn
from torch.nn import functional

from backend.metrics.answers import scores_of
from backend.model.asking import Question
from backend.model.encoder import IGNORED, Encoder, Sample
from backend.model.generating import Given, answer_batch
from backend.model.packing import Collator, learned_logits, moved
from backend.rewards.paid import PaidReward, reward_batch
from backend.runs.predictions import Prediction
from backend.spec.run import RunSpec

ROWS_AT_ONCE = 16  # answered together


class Evaluation(NamedTuple):
    """One evaluation, complete on every process."""

    metrics: dict[str, float]  # eval_loss, and the mean of each metric over the rows it applies to
    predictions: list[Prediction]


class Evaluator:
    """Asks the same rows each time. Every process takes its share of them and knows the whole result."""

    def __init__(
        self, spec: RunSpec, rows: Sequence[Question], encoder: Encoder, collator: Collator,
        own: Sequence[PaidReward] = (),
    ) -> None:  # fmt: skip
        """Take the chosen rows; none means that there is nothing to evaluate.

        Args:
            spec: of the run.
            rows: the held-out rows to ask.
            encoder: of the model.
            collator: joins samples for the loss.
            own: the person's own metrics, on the first process alone: it alone tells what they say.
        """
        self._spec, self._rows, self._encoder, self._collator = spec, list(rows), encoder, collator
        self._own = list(own)

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self._rows)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Ask all rows. Leaves the model in train mode; nothing random is drawn, so training goes on as without."""
        model.eval()
        try:
            loss, predictions = self._loss(model), self._judged(self._answers(model))
        finally:
            model.train()
        means: dict[str, list[float]] = {}
        for prediction in predictions:
            for name, score in prediction.scores.items():
                means.setdefault(name, []).append(score)
        metrics = {"eval_loss": loss} | {name: sum(scores) / len(scores) for name, scores in means.items()}
        return Evaluation(metrics, predictions)

    def _share(self) -> list[Question]:
        """This process' rows; all have equally many, so that none waits for another, some of them asked twice."""
        processes, rank = _world()
        each = -(-len(self._rows) // processes)
        return [self._rows[place % len(self._rows)] for place in range(rank * each, (rank + 1) * each)]

    @torch.no_grad()
    def _loss(self, model: nn.Module) -> float:
        """Mean cross-entropy of the learned tokens of all rows; of a row that is asked twice, once."""
        sums = torch.zeros(2, dtype=torch.float64)
        share, (_, rank) = self._share(), _world()
        places = range(rank * len(share), (rank + 1) * len(share))
        samples = [
            row.encoded(self._spec, self._encoder)
            if place < len(self._rows)
            else _unlearned(row.encoded(self._spec, self._encoder))
            for place, row in zip(places, share, strict=True)
        ]
        for part in _batches(samples):
            inputs = moved(self._collator(part), next(model.parameters()).device)
            losses = functional.cross_entropy(
                learned_logits(model, inputs).float(), inputs["shift_labels"], reduction="sum"
            )
            sums += torch.tensor([float(losses), len(inputs["shift_labels"])], dtype=torch.float64)
        total = _summed(sums)
        return float(total[0] / max(1.0, float(total[1])))

    def _answers(self, model: nn.Module) -> list[Prediction]:
        """Ask this process' rows, longest together, and bring all answers together in the order of the rows."""
        share = self._share()
        order = sorted(range(len(share)), key=lambda place: share[place].fit.tokens)
        given: dict[int, Prediction] = {}
        longest = self._spec.evaluation.max_new_tokens
        for places in _batches(order):
            questions = [share[place].encoded(self._spec, self._encoder, for_answer=True) for place in places]
            if self._collator.needs_picture and not any(len(question.grids) for question in questions):
                questions.append(self._collator.blank)  # other processes may be waiting in the vision tower
            answers = answer_batch(model, questions, self._encoder, longest)
            for place, answer in zip(places, answers, strict=False):
                gold = share[place].turns(self._spec)[-1].content
                given[place] = _prediction(share[place], gold, answer)
        mine = [given[place] for place in range(len(share))]
        return [answer for part in _collected(mine) for answer in part][: len(self._rows)]

    def _judged(self, predictions: list[Prediction]) -> list[Prediction]:
        """Add what the person's own metrics say; where one says nothing of an answer, it has no such score."""
        if not self._own or not predictions:
            return predictions
        columns = [row.columns(self._spec) for row in self._rows]
        batch = reward_batch([prediction.given for prediction in predictions], columns)
        said = {metric.__name__: metric.tried(batch).values for metric in self._own}
        return [
            prediction.model_copy(update={"scores": prediction.scores | {
                name: values[place] for name, values in said.items() if values[place] is not None
            }})
            for place, prediction in enumerate(predictions)
        ]  # fmt: skip


def _unlearned(sample: Sample) -> Sample:
    return replace(sample, labels=torch.full_like(sample.labels, IGNORED))


def _prediction(asked: Question, gold: str, given: Given) -> Prediction:
    row = asked.row
    return Prediction(
        row=row.id,
        dataset=asked.folder.name,
        images=row.images,
        asked=row.messages[:-1],
        gold=gold,
        given=given.text,
        is_cut=given.is_cut,
        scores=scores_of(gold, given.text),
    )


def _batches(items: Sequence[Any]) -> Iterator[Any]:
    for at in range(0, len(items), ROWS_AT_ONCE):
        yield items[at : at + ROWS_AT_ONCE]


def _world() -> tuple[int, int]:
    return (distributed.get_world_size(), distributed.get_rank()) if distributed.is_initialized() else (1, 0)


def _summed(sums: torch.Tensor) -> torch.Tensor:
    if _world()[0] > 1:
        on_device = sums.to("cuda" if distributed.get_backend() == "nccl" else "cpu")
        distributed.all_reduce(on_device)
        return on_device.cpu()
    return sums


def _collected(mine: list[Prediction]) -> list[list[Prediction]]:
    if _world()[0] == 1:
        return [mine]
    parts: list[Any] = [None] * _world()[0]
    distributed.all_gather_object(parts, mine)
    return parts
