"""What the studio's trainers have in common: learning rates by part, and the meter of each optimizer step."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import TrainingArguments

from backend.programs.model.parts import optimiser_groups
from backend.programs.training.distributed import summed
from backend.spec.run import RunSpec

BETAS = (0.9, 0.999)


class StepTotals(NamedTuple):
    """One optimizer step in numbers."""

    losses: dict[str, float]  # mean loss of each dataset that was seen
    samples: int
    tokens: int


class StepMeter:
    """Adds up on the device; asking for the sums is the only time that anything waits for it."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        """Count for datasets of these names, in the order of `Sample.source`."""
        self._names = list(names)
        self._losses = torch.zeros(len(names), dtype=torch.float64, device=device)
        self._learned = torch.zeros_like(self._losses)
        self._counts = torch.zeros(2, dtype=torch.float64, device=device)  # samples, tokens

    def add(self, losses: torch.Tensor, sources: torch.Tensor, counts: torch.Tensor) -> None:
        """Take in a micro-batch: loss (K,) and dataset (K,) of each learned token, and samples and tokens (2,)."""
        self._losses.index_add_(0, sources, losses.detach().double())
        self._learned.index_add_(0, sources, torch.ones_like(losses, dtype=torch.float64))
        self._counts += counts

    def add_counts(self, samples: int, tokens: int) -> None:
        """Take in samples that have no loss of their own."""
        self._counts += torch.tensor([samples, tokens], dtype=torch.float64, device=self._counts.device)

    def pop_totals(self) -> StepTotals:
        """Give the sums over all processes, and start again. Every process must ask."""
        sums = summed(torch.cat([self._losses, self._learned, self._counts]))
        for part in (self._losses, self._learned, self._counts):
            part.zero_()
        values, size = sums.tolist(), len(self._names)
        pairs = zip(self._names, values[:size], values[size : 2 * size], strict=True)
        losses = {name: loss / learned for name, loss, learned in pairs if learned}
        return StepTotals(losses, int(values[-2]), int(values[-1]))


class StudioTrainer:
    """Stands before `transformers.Trainer`, or a subclass of it, among the bases of a trainer."""

    _spec: RunSpec
    meter: StepMeter
    args: TrainingArguments  # this and the next three are the Trainer's own
    model_wrapped: Any
    optimizer: Any
    is_world_process_zero: Callable[[], bool]
    failure_reason = ""  # why it cannot go on, in words; known to all processes at the same step

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
        """Nobody asks for them, and counting the model's parameters for them takes time at every micro-batch."""
        return 0

    def start_at(self, step: int) -> None:
        """Be told, before the first step, how many were done before."""

    def notes(self) -> list[str]:
        """What the run should say of itself before its first step."""
        return []

    def new_warnings(self) -> list[str]:
        """What went wrong since the last time this was asked, in words; on the first process only."""
        return []

    def step_metrics(self, logs: dict[str, Any], totals: StepTotals) -> dict[str, float | None]:
        """What one step adds to the metrics that every trainer reports."""
        return {}
