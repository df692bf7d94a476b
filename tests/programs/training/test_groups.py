"""Which questions each drawing asks, over a whole run, for one process and for several."""

from types import SimpleNamespace

import pytest

from backend.programs.training.batch_sampler import GrpoBatchSampler
from backend.programs.training.rows import DatasetSlice
from backend.spec.run import RunSpec

ROWS = SimpleNamespace(sources=[DatasetSlice("a", 0, 6, 6), DatasetSlice("b", 6, 4, 4)], samples_per_epoch=10)


def planned(processes: int = 1, rank: int = 0, **changes: object) -> GrpoBatchSampler:
    plain = {"kind": "grpo", "grpo.generations": 2, "batching.batch_size": 8, "optimiser.epochs": 2.0}
    spec = RunSpec().with_values(plain | {path.replace("__", "."): value for path, value in changes.items()})
    return GrpoBatchSampler(spec, ROWS, processes, rank)


def test_every_question_is_asked_as_often_as_there_are_passes_and_each_g_times_in_a_row():
    plan = planned(optimiser__epochs=2.0)
    drawings = list(plan)

    assert plan.steps == len(plan) == len(drawings) == 5
    assert all(len(drawing) == 8 and drawing[::2] == drawing[1::2] for drawing in drawings)
    asked = [place for drawing in drawings for place in drawing[::2]]
    assert sorted(asked[:10]) == list(range(10))
    assert sorted(asked) == sorted(2 * list(range(10)))


def test_processes_share_a_drawing_out_in_order():
    whole = list(planned(batching__batch_size=16))
    parts = [list(planned(2, rank)) for rank in (0, 1)]

    assert [first + second for first, second in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize("changes", [{"grpo__iterations": 3}, {"grpo__reuse": 2, "batching__batch_size": 4}])
def test_a_drawing_is_given_to_each_of_its_passes(changes):
    plan = planned(batching__accumulation_steps=2, **changes)
    batches = list(plan)
    times = 2 * int(changes.get("grpo__iterations", 1)) * int(changes.get("grpo__reuse", 1))

    assert plan.steps % (times // 2) == 0
    assert all(batches[at : at + times] == [batches[at]] * times for at in range(0, len(batches), times))


def test_a_step_limit_cuts_the_plan_and_epochs_are_told_in_between():
    plan = planned(optimiser__max_steps=3)

    assert plan.steps == 3
    assert plan.epoch_after(0) == 0
    assert plan.epoch_after(5) == pytest.approx(2.0)
