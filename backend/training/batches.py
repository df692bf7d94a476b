"""Which rows each forward pass of a run sees, planned ahead: by number of samples, or filled up to a token budget.

The plan of a whole run depends on the spec, the rows and the number of processes alone. Every process makes it for
itself, takes its own share, and can go on from any step. All processes make equally many passes; where there are too
few samples for all, a pass has none.
"""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from backend.spec.learning import BatchingKnobs
from backend.spec.run import RunSpec
from backend.training.rows import TrainingRows, order_of_pass

Pass = list[int]  # row indices of one forward pass of one process
Step = list[Pass]  # the passes of one optimizer step, over all processes


def steps_of_pass(order: Sequence[int], lengths: Sequence[int], batching: BatchingKnobs, processes: int) -> list[Step]:
    """Cut one pass over the data into optimizer steps.

    Args:
        order: row indices.
        lengths: tokens of each row.
        batching: how many samples or tokens make a forward pass, and how many passes a step.
        processes: that share a step.
    """
    passes = batching.accumulation_steps * processes
    if batching.max_tokens:
        filled = _filled(order, lengths, batching.max_tokens)
        steps = [filled[at : at + passes] for at in range(0, len(filled), passes)]
        return [step + [[] for _ in range(passes - len(step))] for step in steps]
    chunk = batching.batch_size * passes
    return [_spread(order[at : at + chunk], passes) for at in range(0, len(order), chunk)]


class RunBatches(Sampler[list[int]]):
    """One process' forward passes, from the first step of a run to the last."""

    def __init__(self, spec: RunSpec, rows: TrainingRows, processes: int, rank: int) -> None:
        """Plan the run for `processes` of which this one is `rank`."""
        self._spec, self._rows, self._lengths = spec, rows, rows.lengths
        self._processes, self._rank = processes, rank
        self._ends: list[int] = []  # optimizer steps behind each pass over the data
        self.steps = self._count()

    def __len__(self) -> int:
        """Forward passes of this process, over the whole run."""
        return self.steps * self._spec.batching.accumulation_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the rows of each forward pass."""
        for step in self.all_steps():
            yield from step[self._rank :: self._processes]

    def all_steps(self) -> Iterator[Step]:
        """Yield the optimizer steps of the run."""
        endless = (step for epoch in itertools.count() for step in self._steps(epoch))
        return itertools.islice(endless, self.steps)

    def epoch_after(self, step: int) -> float:
        """How many passes over the data are done after so many optimizer steps."""
        epoch = bisect.bisect_right(self._ends, step)
        if epoch == len(self._ends):
            return float(epoch)
        begin = self._ends[epoch - 1] if epoch else 0
        return epoch + (step - begin) / (self._ends[epoch] - begin)

    def _steps(self, epoch: int) -> list[Step]:
        order = order_of_pass(self._rows.sources, self._spec.data.seed, epoch)
        return steps_of_pass(order, self._lengths, self._spec.batching, self._processes)

    def _steps_in(self, epoch: int) -> int:
        """Steps of one pass over the data; only a token budget makes them differ."""
        if self._spec.batching.max_tokens:
            return len(self._steps(epoch))
        samples = self._spec.batching.batch_size * self._spec.batching.accumulation_steps * self._processes
        return math.ceil(self._rows.samples_in_pass / samples)

    def _count(self) -> int:
        """Optimizer steps by epochs, but no more than the step limit."""
        epochs, limit = self._spec.optimiser.epochs, self._spec.optimiser.max_steps
        total = 0
        for epoch in range(math.ceil(epochs)):
            here = self._steps_in(epoch)
            self._ends.append(total + here)
            total += math.ceil(round(min(1.0, epochs - epoch) * here, 6))
            if limit and total >= limit:
                return limit
        return total


def _filled(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[Pass]:
    """Fill passes in order, each until the next row would not fit."""
    passes: list[Pass] = []
    room = 0
    for row in order:
        if lengths[row] > room or not passes:
            passes.append([])
            room = budget
        passes[-1].append(row)
        room -= lengths[row]
    return passes


def _spread(rows: Sequence[int], passes: int) -> Step:
    """Share rows out evenly over so many passes, neighbours together; some are empty where there are too few."""
    edges = [len(rows) * number // passes for number in range(passes + 1)]
    return [list(rows[begin:end]) for begin, end in itertools.pairwise(edges)]
