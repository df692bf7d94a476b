"""Which rows each micro-batch sees and which questions each generation asks, planned ahead for a whole run."""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from backend.programs.training.rows import TrainingRows, epoch_order
from backend.spec.run import RunSpec
from backend.spec.training import BatchingKnobs

MicroBatch = list[int]  # row indices of one forward pass of one process
Step = list[MicroBatch]  # the passes of one optimizer step, over all processes


def steps_of_epoch(order: Sequence[int], lengths: Sequence[int], batching: BatchingKnobs, processes: int) -> list[Step]:
    """Cut one pass over the data into optimizer steps.

    Args:
        order: row indices.
        lengths: tokens of each row.
        batching: how many samples or tokens make a forward pass, and how many passes a step.
        processes: that share a step.
    """
    micro_batches = batching.accumulation_steps * processes
    if batching.max_tokens:
        filled = _filled(order, lengths, batching.max_tokens)
        steps = [filled[at : at + micro_batches] for at in range(0, len(filled), micro_batches)]
        return [step + [[] for _ in range(micro_batches - len(step))] for step in steps]
    chunk = batching.batch_size * micro_batches
    return [_spread(order[at : at + chunk], micro_batches) for at in range(0, len(order), chunk)]


class SftBatchSampler(Sampler[list[int]]):
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
        endless = (step for epoch in itertools.count() for step in self._steps_of(epoch))
        return itertools.islice(endless, self.steps)

    def epoch_after(self, step: int) -> float:
        """How many passes over the data are done after so many optimizer steps."""
        epoch = bisect.bisect_right(self._ends, step)
        if epoch == len(self._ends):
            return float(epoch)
        begin = self._ends[epoch - 1] if epoch else 0
        return epoch + (step - begin) / (self._ends[epoch] - begin)

    def _steps_of(self, epoch: int) -> list[Step]:
        order = epoch_order(self._rows.sources, self._spec.data.seed, epoch)
        return steps_of_epoch(order, self._lengths, self._spec.batching, self._processes)

    def _count_steps_of(self, epoch: int) -> int:
        """Steps of one pass over the data; only a token budget makes them differ."""
        if self._spec.batching.max_tokens:
            return len(self._steps_of(epoch))
        samples = self._spec.batching.batch_size * self._spec.batching.accumulation_steps * self._processes
        return math.ceil(self._rows.samples_per_epoch / samples)

    def _count(self) -> int:
        """Optimizer steps by epochs, but no more than the step limit."""
        epochs, limit = self._spec.optimiser.epochs, self._spec.optimiser.max_steps
        total = 0
        for epoch in range(math.ceil(epochs)):
            here = self._count_steps_of(epoch)
            self._ends.append(total + here)
            total += math.ceil(round(min(1.0, epochs - epoch) * here, 6))
            if limit and total >= limit:
                return limit
        return total


class GrpoBatchSampler(Sampler[list[int]]):
    """One process' share of every drawing: each question G times in a row, over all processes in order.

    A drawing serves `grpo.reuse` x `grpo.iterations` optimizer steps, and the trainer asks for a batch before each of
    their passes though it only uses the first: so each is given that often. Questions go on from pass to pass over the
    data without a gap; what a pass leaves over begins the next drawing.
    """

    def __init__(self, spec: RunSpec, rows: TrainingRows, processes: int, rank: int) -> None:
        """Plan the run for `processes` of which this one is `rank`."""
        self._spec, self._rows, self._rank = spec, rows, rank
        knobs, batching = spec.grpo, spec.batching
        self._completions_per_rank = batching.batch_size * batching.accumulation_steps * knobs.reuse
        self._prompts_per_generation = self._completions_per_rank * processes // knobs.generations
        self._steps_per_generation = knobs.reuse * knobs.iterations
        by_epochs = math.ceil(round(spec.optimiser.epochs * rows.samples_per_epoch / self._prompts_per_generation, 6))
        steps = max(1, by_epochs) * self._steps_per_generation
        self.steps = min(steps, spec.optimiser.max_steps or steps)

    def __len__(self) -> int:
        """Forward passes of this process, over the whole run."""
        return self.steps * self._spec.batching.accumulation_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process' share of the drawing that each pass belongs to."""
        repeats = self._spec.batching.accumulation_steps * self._steps_per_generation
        begin = self._rank * self._completions_per_rank
        for generation in range(math.ceil(self.steps / self._steps_per_generation)):
            copies = [row for row in self.prompt_rows(generation) for _ in range(self._spec.grpo.generations)]
            yield from itertools.repeat(copies[begin : begin + self._completions_per_rank], repeats)

    def prompt_rows(self, generation: int) -> list[int]:
        """The rows that all processes ask together in one drawing, counted from 0."""
        per_epoch = self._rows.samples_per_epoch
        places = range(generation * self._prompts_per_generation, (generation + 1) * self._prompts_per_generation)
        orders = {epoch: epoch_order(self._rows.sources, self._spec.data.seed, epoch)
                  for epoch in {place // per_epoch for place in places}}  # fmt: skip
        return [orders[place // per_epoch][place % per_epoch] for place in places]

    def epoch_after(self, step: int) -> float:
        """How many passes over the data are done after so many optimizer steps."""
        return step / self._steps_per_generation * self._prompts_per_generation / self._rows.samples_per_epoch


def _filled(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[MicroBatch]:
    """Fill passes in order, each until the next row would not fit."""
    micro_batches: list[MicroBatch] = []
    remaining_tokens = 0
    for row in order:
        if lengths[row] > remaining_tokens or not micro_batches:
            micro_batches.append([])
            remaining_tokens = budget
        micro_batches[-1].append(row)
        remaining_tokens -= lengths[row]
    return micro_batches


def _spread(rows: Sequence[int], micro_batches: int) -> Step:
    """Share rows out evenly over so many passes, neighbours together; some are empty where there are too few."""
    edges = [len(rows) * number // micro_batches for number in range(micro_batches + 1)]
    return [list(rows[begin:end]) for begin, end in itertools.pairwise(edges)]
