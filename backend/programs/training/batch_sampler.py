"""Which rows each micro-batch sees and which prompts each generation answers, planned ahead for a whole run."""

import itertools
import math
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler

from backend.programs.training.rows import TrainingRows, epoch_order
from backend.spec.run import RunSpec
from backend.spec.steps import (
    completions_per_rank,
    grpo_steps,
    prompts_per_generation,
    sft_schedule,
    steps_per_epoch,
    steps_per_generation,
)
from backend.spec.training import BatchingKnobs

MicroBatch = list[int]  # row indices of one forward pass of one process
Step = list[MicroBatch]  # the micro-batches of one optimizer step, over all processes


def steps_of_epoch(order: Sequence[int], lengths: Sequence[int], batching: BatchingKnobs, processes: int) -> list[Step]:
    """Cut one epoch into optimizer steps.

    Args:
        order: row indices.
        lengths: tokens of each row.
        batching: how many samples or tokens make a micro-batch, and how many micro-batches a step.
        processes: that share a step.
    """
    per_step = batching.accumulation_steps * processes
    if batching.max_tokens:
        filled = _filled(order, lengths, batching.max_tokens)
        steps = [filled[at : at + per_step] for at in range(0, len(filled), per_step)]
        return [step + [[] for _ in range(per_step - len(step))] for step in steps]
    samples = batching.batch_size * per_step
    return [_spread(order[at : at + samples], per_step) for at in range(0, len(order), samples)]


class SftBatchSampler(Sampler[list[int]]):
    """One process' micro-batches, from the first step of a run to the last."""

    def __init__(self, spec: RunSpec, rows: TrainingRows, processes: int, rank: int) -> None:
        """Plan the run for `processes` of which this one is `rank`."""
        self._spec, self._rows, self._lengths = spec, rows, rows.lengths
        self._processes, self._rank = processes, rank
        self._schedule = sft_schedule(spec, self._count_steps)
        self.steps = self._schedule.steps

    def __len__(self) -> int:
        """Micro-batches of this process, over the whole run."""
        return self.steps * self._spec.batching.accumulation_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the rows of each micro-batch."""
        for step in self.all_steps():
            yield from step[self._rank :: self._processes]

    def all_steps(self) -> Iterator[Step]:
        """Yield the optimizer steps of the run."""
        endless = (step for epoch in itertools.count() for step in self._steps(epoch))
        return itertools.islice(endless, self.steps)

    def epoch_after(self, step: int) -> float:
        """How many epochs are done after so many optimizer steps."""
        return self._schedule.epoch_after(step)

    def _steps(self, epoch: int) -> list[Step]:
        order = epoch_order(self._rows.sources, self._spec.data.seed, epoch)
        return steps_of_epoch(order, self._lengths, self._spec.batching, self._processes)

    def _count_steps(self, epoch: int) -> int:
        """Optimizer steps of one epoch; only a token budget makes them differ."""
        batching = self._spec.batching
        if batching.max_tokens:
            return len(self._steps(epoch))
        per_step = batching.batch_size * batching.accumulation_steps * self._processes
        return steps_per_epoch(self._rows.samples_per_epoch, per_step)


class GrpoBatchSampler(Sampler[list[int]]):
    """One process' share of every generation: each prompt G times in a row, over all processes in order.

    A generation serves `grpo.reuse` x `grpo.iterations` optimizer steps, and the trainer asks for a batch before each
    of their micro-batches though it only uses the first: so each is given that often. Prompts go on from epoch to epoch
    without a gap; what an epoch leaves over begins the next generation.
    """

    def __init__(self, spec: RunSpec, rows: TrainingRows, processes: int, rank: int) -> None:
        """Plan the run for `processes` of which this one is `rank`."""
        self._spec, self._rows, self._rank = spec, rows, rank
        self._prompts_per_generation = prompts_per_generation(spec, processes)
        self._steps_per_generation = steps_per_generation(spec)
        self.steps = grpo_steps(spec, rows.samples_per_epoch, processes)

    def __len__(self) -> int:
        """Micro-batches of this process, over the whole run."""
        return self.steps * self._spec.batching.accumulation_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process' share of the generation that each micro-batch belongs to."""
        repeats = self._spec.batching.accumulation_steps * self._steps_per_generation
        size = completions_per_rank(self._spec)
        begin = self._rank * size
        for generation in range(math.ceil(self.steps / self._steps_per_generation)):
            copies = [row for row in self.prompt_rows(generation) for _ in range(self._spec.grpo.generations)]
            yield from itertools.repeat(copies[begin : begin + size], repeats)

    def prompt_rows(self, generation: int) -> list[int]:
        """The rows that all processes answer together in one generation, counted from 0."""
        per_epoch = self._rows.samples_per_epoch
        places = range(generation * self._prompts_per_generation, (generation + 1) * self._prompts_per_generation)
        epochs = {place // per_epoch for place in places}
        orders = {epoch: epoch_order(self._rows.sources, self._spec.data.seed, epoch) for epoch in epochs}
        return [orders[place // per_epoch][place % per_epoch] for place in places]

    def epoch_after(self, step: int) -> float:
        """How many epochs are done after so many optimizer steps."""
        return step / self._steps_per_generation * self._prompts_per_generation / self._rows.samples_per_epoch


def _filled(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[MicroBatch]:
    """Fill micro-batches in order, each until the next row would not fit."""
    micro_batches: list[MicroBatch] = []
    remaining = 0
    for row in order:
        if lengths[row] > remaining or not micro_batches:
            micro_batches.append([])
            remaining = budget
        micro_batches[-1].append(row)
        remaining -= lengths[row]
    return micro_batches


def _spread(rows: Sequence[int], micro_batches: int) -> Step:
    """Share rows out evenly over so many micro-batches, neighbours together; some are empty where there are too few."""
    edges = [len(rows) * number // micro_batches for number in range(micro_batches + 1)]
    return [list(rows[begin:end]) for begin, end in itertools.pairwise(edges)]
