"""Supervised fine-tuning: `transformers.Trainer` with planned micro-batches, prefetch, and a rate for each part."""

import queue
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer

from backend.programs.model.packing import Batch, Collator, learned_logits
from backend.programs.training.base_trainer import StepMeter, StepTotals, StudioTrainer
from backend.programs.training.batch_sampler import SftBatchSampler
from backend.programs.training.distributed import summed
from backend.programs.training.rows import TrainingRows
from backend.spec.run import RunSpec

PREFETCH_BATCHES = 2  # micro-batches
_END = object()


class PrefetchingLoader(DataLoader[Any]):
    """A loader whose own process prepares ahead in a thread. With worker processes it is a plain one."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches in order; an error of the thread is raised here, at its place."""
        plain = super().__iter__()
        return plain if self.num_workers else _prefetched(plain)


class SftTrainer(StudioTrainer, Trainer):
    """A thin subclass: what a micro-batch is, what the loss is, which rates apply.

    The Trainer sees one single epoch, the whole run: its micro-batches are planned ahead, so that going on from a
    checkpoint only skips some of the plan.
    """

    def __init__(
        self, spec: RunSpec, rows: TrainingRows, sampler: SftBatchSampler, collator: Collator, **arguments: Any
    ) -> None:
        """Take the resolved spec and the plan beside what `Trainer` takes."""
        self._spec, self._sampler = spec, sampler
        super().__init__(train_dataset=rows, data_collator=collator, **arguments)
        self.model_accepts_loss_kwargs = True  # our loss is normalised over the whole step
        self.meter = StepMeter([source.name for source in rows.sources], self.args.device)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The micro-batches of this process, in the planned order; nothing else may shuffle or share them out again."""
        return PrefetchingLoader(
            self.train_dataset,
            batch_sampler=self._sampler,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor]:
        """Take the micro-batches of one optimizer step, and count the tokens learned in it over all processes."""
        micro_batches = [next(epoch_iterator) for _ in range(num_batches)]
        learned = torch.tensor(sum(len(batch["shift_labels"]) for batch in micro_batches), device=device)
        return micro_batches, summed(learned).clamp(min=1)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy summed over the learned tokens of a micro-batch, divided by those of the whole optimizer step.

        Processes average their gradients, hence the factor of their number.
        """
        logits = learned_logits(model, inputs)
        losses = functional.cross_entropy(logits.float(), inputs["shift_labels"], reduction="none")
        self.meter.add(losses, inputs["sources"], inputs["counts"])
        learned = num_items_in_batch if num_items_in_batch is not None else max(1, len(losses))
        loss = losses.sum() / learned * self.args.world_size
        return (loss, {"logits": logits}) if return_outputs else loss

    def step_metrics(self, logs: dict[str, Any], totals: StepTotals) -> dict[str, float | None]:
        """Of several datasets each one's loss."""
        return (
            {f"loss/{name}": loss for name, loss in totals.losses.items()} if len(self._spec.data.datasets) > 1 else {}
        )


def _prefetched(batches: Iterator[Any]) -> Iterator[Any]:
    prefetched: queue.Queue[Any] = queue.Queue(PREFETCH_BATCHES)
    is_over = threading.Event()
    producer = threading.Thread(target=_fill, args=(batches, prefetched, is_over), name="prefetch", daemon=True)
    producer.start()
    try:
        while (batch := prefetched.get()) is not _END:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        is_over.set()


def _fill(batches: Iterator[Any], prefetched: "queue.Queue[Any]", is_over: threading.Event) -> None:
    torch.set_num_threads(1)  # of this thread only: a second team would fight with the one that trains for the cores
    try:
        for batch in batches:
            _put(batch, prefetched, is_over)
            if is_over.is_set():
                return
        _put(_END, prefetched, is_over)
    except BaseException as error:  # noqa: BLE001 - it is raised where the batches are used
        _put(error, prefetched, is_over)


def _put(batch: Any, prefetched: "queue.Queue[Any]", is_over: threading.Event) -> None:
    """Wait for room, but not for ever: the training may have ended."""
    while not is_over.is_set():
        try:
            prefetched.put(batch, timeout=0.2)
            return
        except queue.Full:
            continue
