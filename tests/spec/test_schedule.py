"""The plan and the trainer count the steps of learning from rewards alike."""

from dataclasses import dataclass

import pytest

from backend.recipes.library import load_recipe
from backend.spec.steps import optimizer_steps

pytestmark = pytest.mark.torch
CHANGES = [
    {}, {"grpo.reuse": 2}, {"grpo.iterations": 3}, {"grpo.reuse": 2, "grpo.iterations": 2, "optimiser.epochs": 0.5},
    {"devices.processes": 2, "batching.batch_size": 12, "grpo.generations": 3}, {"optimiser.max_steps": 7},
    {"batching.accumulation_steps": 4, "batching.batch_size": 4, "grpo.generations": 16, "optimiser.epochs": 0.01},
]  # fmt: skip


@dataclass
class Rows:
    """As many as a test wants."""

    samples_per_epoch: int


def counted(spec, samples: int) -> int:
    """Steps of one generation after the other, until every epoch's prompts were answered or the limit is reached."""
    completions = spec.batching.batch_size * spec.batching.accumulation_steps * spec.processes * spec.grpo.reuse
    answered, steps = 0, 0
    while not steps or answered < round(spec.optimiser.epochs * samples, 6):
        answered += completions // spec.grpo.generations
        steps += spec.grpo.reuse * spec.grpo.iterations
    return min(steps, spec.optimiser.max_steps or steps)


@pytest.mark.parametrize("samples", [1, 15, 16, 17, 480, 1200])
@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_the_plan_counts_the_steps_that_the_trainer_takes(changes, samples):
    from backend.programs.training.batch_sampler import GrpoBatchSampler

    spec = load_recipe("grpo").spec.with_values(changes)

    steps = GrpoBatchSampler(spec, Rows(samples), spec.processes, 0).steps
    assert steps == optimizer_steps(spec, samples) == counted(spec, samples)


def test_no_rows_make_no_steps():
    assert optimizer_steps(load_recipe("grpo").spec, 0) == 0
