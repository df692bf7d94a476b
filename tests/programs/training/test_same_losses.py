"""T5, T8: however the samples of a step are spread over passes, rows and processes, the same is learned."""

import pytest

from backend.runs.folder import RunFolder
from tests.programs.training.training_lab import Lab, OnDemand, metrics, short_of

pytestmark = pytest.mark.torch

STEPS = 5  # a pass has four, the last of them smaller; so the second pass begins on the way
ALONE = {
    "8x1": {},
    "1x8": {"batching.batch_size": 1, "batching.accumulation_steps": 8},
    "2x4": {"batching.batch_size": 2, "batching.accumulation_steps": 4},
    "padded": {"batching.packing": False},
    "checkpointing": {"batching.gradient_checkpointing": True},
    "ZeRO-2": {"devices.zero_stage": 2},
    "ZeRO-3": {"devices.zero_stage": 3},
    "ZeRO-2 offloaded": {"devices.zero_stage": 2, "devices.offload_optimizer": True},
    "ZeRO-3 offloaded": {
        "devices.zero_stage": 3, "devices.offload_optimizer": True, "devices.offload_parameters": True,
    },
    "interrupted": {"saving.every_steps": 3},
    "blind": {"batching.batch_size": 2},
    "blind vit_only": {"batching.batch_size": 2, "strategy.name": "vit_only"},
    "lora": {"strategy.name": "lora"},
    "lora 1x8 padded": {
        "strategy.name": "lora", "batching.batch_size": 1, "batching.accumulation_steps": 8, "batching.packing": False,
    },
}  # fmt: skip
TOGETHER = {
    "4x1": {"batching.batch_size": 4},
    "1x4": {"batching.batch_size": 1, "batching.accumulation_steps": 4},
    "4x1 padded": {"batching.batch_size": 4, "batching.packing": False},
    "4x1 ZeRO-2": {"batching.batch_size": 4, "devices.zero_stage": 2},
    "4x1 ZeRO-3": {"batching.batch_size": 4, "devices.zero_stage": 3, "saving.every_steps": 3},
    "4x1 ZeRO-3 checkpointing": {
        "batching.batch_size": 4, "devices.zero_stage": 3, "batching.gradient_checkpointing": True,
    },
    "blind apart full": {"batching.batch_size": 1},
    "blind apart ZeRO-3": {"batching.batch_size": 1, "devices.zero_stage": 3},
    "blind apart vit_only": {"batching.batch_size": 1, "strategy.name": "vit_only"},
    "4x1 lora": {"strategy.name": "lora", "batching.batch_size": 4},
    "4x1 lora ZeRO-3 checkpointing": {
        "strategy.name": "lora", "batching.batch_size": 4, "devices.zero_stage": 3,
        "batching.gradient_checkpointing": True,
    },
}  # fmt: skip


SHORT = {
    "8x1", "1x8", "padded", "ZeRO-3", "4x1", "4x1 ZeRO-3", "lora", "lora 1x8 padded", "4x1 lora ZeRO-3 checkpointing",
}  # fmt: skip


@pytest.fixture(scope="module")
def losses(lab: Lab) -> OnDemand:
    """Losses by step of every way, one process and two, and of two runs that went on from a checkpoint."""

    def folder_of(name: str) -> RunFolder:
        way = name.removesuffix(" resumed")
        changes = {"devices.processes": 2} | TOGETHER[way] if way in TOGETHER else ALONE[way]
        spec = lab.spec({"optimiser.max_steps": STEPS} | changes)
        if way != name:
            first = folders[way].path.name
            spec = spec.model_copy(update={"resumed_from": f"{first}/checkpoint-3"})
        return lab.train({name: spec}, processes=2 if way in TOGETHER else 1)[name]

    folders = OnDemand(folder_of)
    return OnDemand(lambda name: metrics(folders[name], "loss"))


@pytest.mark.parametrize(
    "name",
    short_of([name for name in [*ALONE, *TOGETHER] if "lora" not in name and "blind" not in name], SHORT),
)
def test_t5_equal_samples_a_step_give_equal_losses_however_they_are_spread(name, losses):
    expected = losses["8x1"]

    assert list(losses[name]) == list(range(1, STEPS + 1))
    assert losses[name] == pytest.approx(expected, abs=1e-4)
    assert expected[STEPS] < expected[1] - 0.1


@pytest.mark.parametrize("name", short_of([name for name in [*ALONE, *TOGETHER] if "lora" in name], SHORT))
def test_t5_the_same_with_adapters(name, losses):
    assert losses[name] == pytest.approx(losses["lora"], abs=1e-4)


def test_a_resumed_run_has_the_losses_of_the_uninterrupted_one(losses):
    assert list(losses["interrupted resumed"]) == list(range(4, STEPS + 1))
    assert losses["interrupted resumed"] == pytest.approx(
        {s: losses["8x1"][s] for s in losses["interrupted resumed"]}, abs=1e-4
    )


def test_two_processes_with_zero_3_go_on_where_they_were(losses):
    assert list(losses["4x1 ZeRO-3 resumed"]) == list(range(4, STEPS + 1))
    expected = {step: losses["8x1"][step] for step in losses["4x1 ZeRO-3 resumed"]}
    assert losses["4x1 ZeRO-3 resumed"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", short_of(["full", "ZeRO-3", "vit_only"], ["ZeRO-3"]))
def test_t8_a_process_without_images_does_not_stop_the_other(name, losses):
    """With one sample a process, one of them often has text only while the other has an image."""
    expected = losses["blind vit_only" if name == "vit_only" else "blind"]

    assert len(expected) == STEPS
    assert losses[f"blind apart {name}"] == pytest.approx(expected, abs=1e-4)
