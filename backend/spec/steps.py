"""How many optimizer steps a run takes: one arithmetic for the plan of a recipe and for both batch samplers."""

import bisect
import math
from collections.abc import Callable
from typing import NamedTuple

from backend.spec.run import RunSpec

USUAL_FILL = 0.9  # how full a micro-batch of many samples gets on average under a token budget


class EpochSchedule(NamedTuple):
    """The optimizer steps of a supervised run."""

    steps: int
    epoch_ends: tuple[int, ...]  # optimizer steps behind each epoch that is begun, as if it were finished

    def epoch_after(self, step: int) -> float:
        """How many epochs are done after so many optimizer steps."""
        epoch = bisect.bisect_right(self.epoch_ends, step)
        if epoch == len(self.epoch_ends):
            return float(epoch)
        begin = self.epoch_ends[epoch - 1] if epoch else 0
        return epoch + (step - begin) / (self.epoch_ends[epoch] - begin)


def samples_per_epoch(rows: int, weight: float) -> int:
    """How many samples a dataset gives to one epoch: its rows times its weight, at least one where it has any."""
    return max(1, round(rows * weight)) if rows else 0


def samples_per_step(spec: RunSpec, mean_tokens: float) -> float:
    """Samples of one optimizer step: exact by batch size, an estimate from the mean length under a token budget."""
    if not spec.batching.max_tokens or not mean_tokens:
        return float(spec.samples_per_step)
    per_micro_batch = max(1.0, USUAL_FILL * spec.batching.max_tokens / mean_tokens)
    return per_micro_batch * spec.batching.accumulation_steps * spec.processes


def steps_per_epoch(samples: int, per_step: float) -> int:
    """Optimizer steps of one epoch; the last one takes what is left."""
    return math.ceil(samples / per_step)


def sft_schedule(spec: RunSpec, steps_in_epoch: Callable[[int], int]) -> EpochSchedule:
    """Lay out a supervised run: by epochs, the last one maybe in part, but no more than the step limit.

    Args:
        spec: of the run.
        steps_in_epoch: optimizer steps of the epoch of that number, from 0; only a token budget makes them differ.
    """
    epochs, limit = spec.optimiser.epochs, spec.optimiser.max_steps
    steps, ends = 0, []
    for epoch in range(math.ceil(epochs)):
        whole = steps_in_epoch(epoch)
        ends.append(steps + whole)
        steps += math.ceil(round(min(1.0, epochs - epoch) * whole, 6))
        if limit and steps >= limit:
            return EpochSchedule(limit, tuple(ends))
    return EpochSchedule(steps, tuple(ends))


def completions_per_rank(spec: RunSpec) -> int:
    """Completions that one process has of each generation, which learns from them before the next one."""
    return spec.batching.batch_size * spec.batching.accumulation_steps * spec.grpo.reuse


def prompts_per_generation(spec: RunSpec, processes: int | None = None) -> int:
    """Prompts that all processes answer together before they learn; `processes` are the spec's unless given."""
    return completions_per_rank(spec) * (processes or spec.processes) // spec.grpo.generations


def steps_per_generation(spec: RunSpec) -> int:
    """Optimizer steps that learn from the completions of one generation."""
    return spec.grpo.reuse * spec.grpo.iterations


def grpo_steps(spec: RunSpec, samples: int, processes: int | None = None) -> int:
    """Optimizer steps of a run from rewards whose epoch has `samples` samples.

    Whole generations until every epoch's prompts were answered, each of which serves its steps, but no more than the
    step limit.
    """
    generations = math.ceil(round(spec.optimiser.epochs * samples / prompts_per_generation(spec, processes), 6))
    steps = max(1, generations) * steps_per_generation(spec) if samples else 0
    return min(steps, spec.optimiser.max_steps or steps)


def optimizer_steps(spec: RunSpec, samples: int, mean_tokens: float = 0.0) -> int:
    """Optimizer steps of a run whose epochs have `samples` samples; under a token budget an estimate."""
    if spec.kind == "grpo":
        return grpo_steps(spec, samples)
    per_epoch = steps_per_epoch(samples, samples_per_step(spec, mean_tokens))
    return sft_schedule(spec, lambda _: per_epoch).steps
