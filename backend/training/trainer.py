"""What the studio's trainers have in common, whatever they learn from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from backend.model.parts import optimiser_groups
from backend.spec.run import RunSpec
from backend.training.tally import StepSums, Tally

BETAS = (0.9, 0.999)


class StudioTrainer:
    """Stands before `transformers.Trainer`, or a subclass of it, among the bases of a trainer."""

    _spec: RunSpec
    tally: Tally
    args: TrainingArguments  # this and the next three are the Trainer's own
    model_wrapped: Any
    optimizer: Any
    is_world_process_zero: Callable[[], bool]
    gave_up = ""  # why it cannot go on, in words; known to all processes at the same step

    def create_optimizer(self: Any, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over the groups of the module table."""
        if getattr(self, "optimizer", None) is None:
            groups = optimiser_groups(model or self.model, self._spec)
            self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=True)
        return self.optimizer

    def unwrapped(self: Any) -> nn.Module:
        """The model without DeepSpeed's engine around it."""
        return self.accelerator.unwrap_model(self.model_wrapped)

    def save_state(self: Any, folder: Path) -> None:
        """Write what going on needs besides the weights' own files: optimizer, schedule, chance. Every process calls.

        Raises:
            OSError: the disk refuses.
        """
        self._save_optimizer_and_scheduler(str(folder))
        self._save_rng_state(str(folder))
        if self.is_world_process_zero():
            self.state.save_to_json(str(folder / "trainer_state.json"))

    def floating_point_ops(self, inputs: Any) -> int:
        """Nobody asks for them, and counting the model's parameters for them takes time at every pass."""
        return 0

    def begin(self, step: int) -> None:
        """Be told, before the first step, how many were done before."""

    def notes(self) -> list[str]:
        """What the run should say of itself before its first step."""
        return []

    def complaints(self) -> list[str]:
        """What went wrong since the last time this was asked, in words; on the first process only."""
        return []

    def step_metrics(self, logs: dict[str, Any], sums: StepSums) -> dict[str, float | None]:
        """What one step adds to the metrics that every trainer reports."""
        return {}
