"""What one optimizer step cost and saw, summed over its passes and over all processes."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import distributed


class StepSums(NamedTuple):
    """One optimizer step in numbers."""

    losses: dict[str, float]  # mean loss of each dataset that was seen
    samples: int
    tokens: int


class Tally:
    """Adds up on the device; asking for the sums is the only time that anything waits for it."""

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        """Count for datasets of these names, in the order of `Sample.source`."""
        self._names = list(names)
        self._losses = torch.zeros(len(names), dtype=torch.float64, device=device)
        self._learned = torch.zeros_like(self._losses)
        self._counts = torch.zeros(2, dtype=torch.float64, device=device)  # samples, tokens

    def add(self, losses: torch.Tensor, sources: torch.Tensor, counts: torch.Tensor) -> None:
        """Take in one pass: the loss (K,) and the dataset (K,) of each learned token, and samples and tokens (2,)."""
        self._losses.index_add_(0, sources, losses.detach().double())
        self._learned.index_add_(0, sources, torch.ones_like(losses, dtype=torch.float64))
        self._counts += counts

    def count(self, samples: int, tokens: int) -> None:
        """Take in samples that have no loss of their own."""
        self._counts += torch.tensor([samples, tokens], dtype=torch.float64, device=self._counts.device)

    def take(self) -> StepSums:
        """Give the sums over all processes, and start again. Every process must ask."""
        everything = torch.cat([self._losses, self._learned, self._counts])
        if distributed.is_initialized() and distributed.get_world_size() > 1:
            distributed.all_reduce(everything)
        for part in (self._losses, self._learned, self._counts):
            part.zero_()
        values, size = everything.tolist(), len(self._names)
        pairs = zip(self._names, values[:size], values[size : 2 * size], strict=True)
        losses = {name: loss / learned for name, loss, learned in pairs if learned}
        return StepSums(losses, int(values[-2]), int(values[-1]))
