"""T5, T8: however the samples of a step are spread over passes, rows and processes, the same is learned."""

import pytest

from tests.programs.training.training_lab import Lab, metrics

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


@pytest.fixture(scope="module")
def losses(lab: Lab) -> dict[str, dict[int, float]]:
    """Losses by step of every way, one process and two, and of two runs that went on from a checkpoint."""
    common = {"optimiser.max_steps": STEPS}
    alone = lab.train({name: lab.spec(common | changes) for name, changes in ALONE.items()})
    shared = {name: lab.spec(common | {"devices.processes": 2} | changes) for name, changes in TOGETHER.items()}
    together = lab.train(shared, processes=2)
    resumed = lab.train({"resumed": lab.spec(common).model_copy(update={"resumed_from": "interrupted/checkpoint-3"})})
    resumed |= lab.train(
        {"4x1 ZeRO-3 resumed": shared["4x1 ZeRO-3"].model_copy(update={"resumed_from": "4x1-zero-3/checkpoint-3"})},
        processes=2,
    )
    return {name: metrics(folder, "loss") for name, folder in (alone | together | resumed).items()}


@pytest.mark.parametrize("name", [name for name in [*ALONE, *TOGETHER] if "lora" not in name and "blind" not in name])
def test_t5_equal_samples_a_step_give_equal_losses_however_they_are_spread(name, losses):
    expected = losses["8x1"]

    assert list(losses[name]) == list(range(1, STEPS + 1))
    assert losses[name] == pytest.approx(expected, abs=1e-4)
    assert expected[STEPS] < expected[1] - 0.1


@pytest.mark.parametrize("name", [name for name in [*ALONE, *TOGETHER] if "lora" in name])
def test_t5_the_same_with_adapters(name, losses):
    assert losses[name] == pytest.approx(losses["lora"], abs=1e-4)


def test_a_resumed_run_has_the_losses_of_the_uninterrupted_one(losses):
    assert list(losses["resumed"]) == list(range(4, STEPS + 1))
    assert losses["resumed"] == pytest.approx({s: losses["8x1"][s] for s in losses["resumed"]}, abs=1e-4)


def test_two_processes_with_zero_3_go_on_where_they_were(losses):
    assert list(losses["4x1 ZeRO-3 resumed"]) == list(range(4, STEPS + 1))
    expected = {step: losses["8x1"][step] for step in losses["4x1 ZeRO-3 resumed"]}
    assert losses["4x1 ZeRO-3 resumed"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", ["full", "ZeRO-3", "vit_only"])
def test_t8_a_process_without_images_does_not_stop_the_other(name, losses):
    """With one sample a process, one of them often has text only while the other has an image."""
    expected = losses["blind vit_only" if name == "vit_only" else "blind"]

    assert len(expected) == STEPS
    assert losses[f"blind apart {name}"] == pytest.approx(expected, abs=1e-4)
