"""Supervised fine-tuning: `transformers.Trainer` with planned passes, our own loss, and a rate for each part."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from transformers import Trainer

from backend.model.packing import Batch, Collator, learned_logits
from backend.model.parts import optimiser_groups
from backend.spec.run import RunSpec
from backend.training.batches import RunBatches
from backend.training.rows import TrainingRows
from backend.training.tally import Tally

BETAS = (0.9, 0.999)


class SftTrainer(Trainer):
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
        return DataLoader(
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

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over the groups of the module table."""
        if getattr(self, "optimizer", None) is None:
            groups = optimiser_groups(model or self.model, self._spec)
            self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=True)
        return self.optimizer

    def unwrapped(self) -> nn.Module:
        """The model without DeepSpeed's engine around it."""
        return self.accelerator.unwrap_model(self.model_wrapped)

    def save_state(self, folder: Path) -> None:
        """Write what going on needs besides the weights' own files: optimizer, schedule, chance. Every process calls.

        Raises:
            OSError: the disk refuses.
        """
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        if self.is_world_process_zero():
            self.state.save_to_json(str(folder / "trainer_state.json"))
