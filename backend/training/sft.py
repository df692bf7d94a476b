"""Supervised fine-tuning: `transformers.Trainer` with planned passes, our own loss, and a rate for each part."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer

from backend.model.packing import Batch, Collator, learned_logits
from backend.spec.run import RunSpec
from backend.training.ahead import LoaderAhead
from backend.training.batches import RunBatches
from backend.training.rows import TrainingRows
from backend.training.tally import StepSums, Tally
from backend.training.trainer import StudioTrainer


class SftTrainer(StudioTrainer, Trainer):
    """A thin subclass: what a pass is, what the loss is, which rates apply.

    The Trainer sees one single epoch, the whole run: its passes are planned ahead, so that going on from a checkpoint
    only skips some of the plan.
    """

    def __init__(
        self, spec: RunSpec, rows: TrainingRows, batches: RunBatches, collator: Collator, **arguments: Any
    ) -> None:
        """Take the resolved spec and the plan beside what `Trainer` takes."""
        self._spec, self._batches = spec, batches
        super().__init__(train_dataset=rows, data_collator=collator, **arguments)
        self.model_accepts_loss_kwargs = True  # our loss is normalised over the whole step
        self.tally = Tally([source.name for source in rows.sources], self.args.device)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The passes of this process, in the planned order; nothing else may shuffle or share them out again."""
        return LoaderAhead(
            self.train_dataset,
            batch_sampler=self._batches,
            collate_fn=self.data_collator,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor]:
        """Take the passes of one optimizer step, and count the tokens learned in it over all processes."""
        passes = [next(epoch_iterator) for _ in range(num_batches)]
        learned = torch.tensor(sum(len(batch["shift_labels"]) for batch in passes), device=device)
        if self.args.world_size > 1:
            distributed.all_reduce(learned)
        return passes, learned.clamp(min=1)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy summed over the learned tokens of a pass, divided by those of the whole optimizer step.

        Processes average their gradients, hence the factor of their number.
        """
        logits = learned_logits(model, inputs)
        losses = functional.cross_entropy(logits.float(), inputs["shift_labels"], reduction="none")
        self.tally.add(losses, inputs["sources"], inputs["counts"])
        learned = num_items_in_batch if num_items_in_batch is not None else max(1, len(losses))
        loss = losses.sum() / learned * self.args.world_size
        return (loss, {"logits": logits}) if return_outputs else loss

    def step_metrics(self, logs: dict[str, Any], sums: StepSums) -> dict[str, float | None]:
        """Of several datasets each one's loss."""
        return {f"loss/{name}": loss for name, loss in sums.losses.items()} if len(self._spec.data.datasets) > 1 else {}
