"""What a forward pass sees: planned by samples or by tokens, complete, shared out alike on every rank."""

from types import SimpleNamespace

import pytest

from backend.spec.run import RunSpec
from backend.spec.training import BatchingKnobs

pytestmark = pytest.mark.torch

LENGTHS = [30, 50, 20, 100, 70, 10, 90, 40, 60, 80]


def steps(processes: int = 1, **knobs: object):
    from backend.programs.training.batch_sampler import steps_of_epoch

    return steps_of_epoch(range(10), LENGTHS, BatchingKnobs(**knobs), processes)


def test_a_step_has_so_many_samples_whoever_takes_them():
    alone = steps(batch_size=4)
    shared = steps(processes=2, batch_size=2)
    piecemeal = steps(batch_size=1, accumulation_steps=4)

    def seen(plan):
        return [sorted(row for each in step for row in each) for step in plan]

    assert seen(alone) == seen(shared) == seen(piecemeal) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert shared[0] == [[0, 1], [2, 3]]
    assert shared[2] == [[8], [9]]


def test_every_process_makes_equally_many_passes_some_of_them_empty():
    plan = steps(processes=4, batch_size=1, accumulation_steps=2)

    assert [len(step) for step in plan] == [8, 8]
    assert sorted(len(each) for each in plan[1]) == [0] * 6 + [1] * 2


def test_a_budget_is_filled_and_never_exceeded():
    plan = steps(max_tokens=120, processes=2)
    passes = [each for step in plan for each in step]

    assert [row for each in passes for row in each] == list(range(10))
    assert all(sum(LENGTHS[row] for row in each) <= 120 for each in passes)
    assert len(passes) < 10
    assert all(len(step) == 2 for step in plan)


def rows_like(*weights: float):
    from backend.programs.training.rows import DatasetSlice

    sources = [DatasetSlice(str(place), 10 * place, 10, round(10 * weight)) for place, weight in enumerate(weights)]
    return SimpleNamespace(
        sources=sources, lengths=LENGTHS * len(weights), samples_per_epoch=sum(each.per_epoch for each in sources)
    )


@pytest.mark.parametrize("budget", [0, 120])
def test_ranks_share_one_plan_between_them(budget):
    from backend.programs.training.batch_sampler import SftBatchSampler

    changes = {"batching.batch_size": 3, "data.max_tokens": 100, "batching.max_tokens": budget, "optimiser.epochs": 2.5}
    spec = RunSpec().with_values(changes)
    whole = [each for step in SftBatchSampler(spec, rows_like(1.0), 2, 0).all_steps() for each in step]

    shares = [list(SftBatchSampler(spec, rows_like(1.0), 2, rank)) for rank in range(2)]

    assert len(shares[0]) == len(shares[1]) == len(SftBatchSampler(spec, rows_like(1.0), 2, 0))
    assert [each for pair in zip(*shares, strict=True) for each in pair] == whole


def test_passes_over_the_data_are_counted_as_steps_go():
    from backend.programs.training.batch_sampler import SftBatchSampler

    batches = SftBatchSampler(
        RunSpec().with_values({"batching.batch_size": 3, "optimiser.epochs": 2.5}), rows_like(1.0), 1, 0
    )

    assert batches.steps == 4 + 4 + 2
    assert [batches.epoch_after(step) for step in (0, 1, 4, 6, 8, 10)] == [0.0, 0.25, 1.0, 1.5, 2.0, 2.5]


def test_a_step_limit_is_a_limit():
    from backend.programs.training.batch_sampler import SftBatchSampler

    for limit, expected in ((3, 3), (1000, 10)):
        spec = RunSpec().with_values({"batching.batch_size": 3, "optimiser.epochs": 2.5, "optimiser.max_steps": limit})
        assert SftBatchSampler(spec, rows_like(1.0), 1, 0).steps == expected
