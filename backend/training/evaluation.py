"""Measure the model on held-out rows while it learns: its loss, and the answers that it really gives."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import distributed, nn
from torch.nn import functional

from backend.conversation import Row
from backend.datasets.store import DatasetStore
from backend.ids import DatasetName
from backend.lengths import Fit, RowMeter, fit
from backend.metrics.answers import scores_of
from backend.model.encoder import IGNORED, Encoder, Sample
from backend.model.generating import answer_batch
from backend.model.packing import Collator, learned_logits, moved
from backend.runs.predictions import Prediction
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.training.rows import seen_messages

ROWS_AT_ONCE = 16  # answered together


@dataclass(frozen=True, slots=True)
class HeldOutRow:
    """One row to ask: everything up to its last answer, which is the gold one."""

    row: Row
    folder: Path
    fit: Fit


class Evaluation(NamedTuple):
    """One evaluation, complete on every process."""

    metrics: dict[str, float]  # eval_loss, and the mean of each metric over the rows it applies to
    predictions: list[Prediction]


def heldout_rows(spec: RunSpec, workspace: Workspace, meter: RowMeter) -> list[HeldOutRow]:
    """Choose `evaluation.rows` held-out rows of the run's datasets by its seed; too long ones are not asked."""
    store, found = DatasetStore(workspace), []
    for share in spec.data.datasets if spec.evaluation.rows else ():
        folder = store.folder(DatasetName(share.name))
        for row in store.rows(share.name, split="heldout"):
            fitted = fit(meter.size(row, folder), spec.data, spec.model)
            if fitted is not None and row.messages[-1].role == "assistant":
                found.append(HeldOutRow(row, folder, fitted))
    chance = random.Random(f"{spec.data.seed}/heldout")
    chosen = sorted(chance.sample(range(len(found)), min(spec.evaluation.rows, len(found))))
    return [found[place] for place in chosen]


class Evaluator:
    """Asks the same rows each time. Every process takes its share of them and knows the whole result."""

    def __init__(self, spec: RunSpec, rows: Sequence[HeldOutRow], encoder: Encoder, collator: Collator) -> None:
        """Take the chosen rows; none means that there is nothing to evaluate."""
        self._spec, self._rows, self._encoder, self._collator = spec, list(rows), encoder, collator

    @property
    def is_wanted(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self._rows)

    def evaluate(self, model: nn.Module) -> Evaluation:
        """Ask all rows. Leaves the model in train mode; nothing random is drawn, so training goes on as without."""
        model.eval()
        try:
            loss, predictions = self._loss(model), self._answers(model)
        finally:
            model.train()
        means: dict[str, list[float]] = {}
        for prediction in predictions:
            for name, score in prediction.scores.items():
                means.setdefault(name, []).append(score)
        metrics = {"eval_loss": loss} | {name: sum(scores) / len(scores) for name, scores in means.items()}
        return Evaluation(metrics, predictions)

    def _share(self) -> list[HeldOutRow]:
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
            self._encoded(row) if place < len(self._rows) else _unlearned(self._encoded(row))
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
            questions = [self._encoded(share[place], for_answer=True) for place in places]
            answers = answer_batch(model, questions, self._encoder, longest)
            for place, (text, is_cut) in zip(places, answers, strict=True):
                gold = seen_messages(share[place].row, share[place].fit, self._spec)[-1].content
                given[place] = _prediction(share[place], gold, text, is_cut=is_cut)
        mine = [given[place] for place in range(len(share))]
        return [answer for part in _collected(mine) for answer in part][: len(self._rows)]

    def _encoded(self, asked: HeldOutRow, *, for_answer: bool = False) -> Sample:
        row, messages = asked.row, seen_messages(asked.row, asked.fit, self._spec)
        messages = messages[:-1] if for_answer else messages
        pictures = [asked.folder / name for name in row.images]
        return self._encoder.encode(
            messages, pictures, for_answer=for_answer, name=f"{asked.folder.name}/{row.id}",
            max_pixels=asked.fit.max_pixels,
        )  # fmt: skip


def _unlearned(sample: Sample) -> Sample:
    return replace(sample, labels=torch.full_like(sample.labels, IGNORED))


def _prediction(asked: HeldOutRow, gold: str, given: str, *, is_cut: bool) -> Prediction:
    row = asked.row
    return Prediction(
        row=row.id,
        dataset=asked.folder.name,
        images=row.images,
        asked=row.messages[:-1],
        gold=gold,
        given=given,
        is_cut=is_cut,
        scores=scores_of(gold, given),
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
