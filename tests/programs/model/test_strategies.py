"""T6: for each strategy, exactly which tensors get a gradient; and that the panel tells the same."""

import pytest
import torch

from backend.catalog.model_config import count_adapters, count_parameters
from backend.catalog.model_folder import read_config
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGY_NAMES, part_of

pytestmark = pytest.mark.torch

EXPECTED = {
    "full": {"vision", "merger", "language"},
    "lora": {"adapter"},
    "qlora": {"adapter"},
    "vit_only": {"vision", "merger"},
    "llm_only": {"language"},
    "lora_llm_full_vit": {"adapter", "vision", "merger"},
}


def spec_of(strategy: str, **changes: object) -> RunSpec:
    rates = {"optimiser.language_rate": 1e-3, "optimiser.merger_rate": 2e-3, "optimiser.vision_rate": 3e-3}
    return RunSpec().with_values({"strategy.name": strategy} | rates | changes)


def prepared(untrained, strategy: str, checkpointing: bool = False, **changes: object):
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.parts import apply_strategy

    spec = spec_of(strategy, **changes)
    model = load_base(untrained, choose_precision("fp32"), quantised=spec.table.quantised)
    model = apply_strategy(model, spec).train()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
        if spec.table.uses_lora:
            model.enable_input_require_grads()
    return model, spec


def kind_of(name: str) -> str:
    from backend.programs.model.parts import plain_name

    return "adapter" if ".lora_" in name else part_of(plain_name(name))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_t6_exactly_the_parts_of_the_table_get_a_gradient(strategy, checkpointing, untrained, encoder, images):
    from backend.conversation import Message
    from backend.programs.model.packing import pack

    model, _ = prepared(untrained, strategy, checkpointing)
    turns = (Message(role="user", content="<image>What?"), Message(role="assistant", content="A circle."))
    batch = pack([encoder.encode(turns, images[:1])])
    targets = batch.pop("shift_labels")

    torch.nn.functional.cross_entropy(model(**batch, use_cache=False).logits[0].float(), targets).backward()

    wanted = {name for name, _ in model.named_parameters() if kind_of(name) in EXPECTED[strategy]}
    required = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    assert required == moved == wanted
    still = {name for name in moved if not model.get_parameter(name).grad.any()}
    assert all(
        ".lora_A." in name or name.endswith("k_proj.bias") for name in still
    )  # B starts at 0; softmax undoes k's


@pytest.mark.parametrize("strategy", ["lora", "qlora", "llm_only"])
def test_t6_nobody_goes_back_through_a_frozen_tower_though_checkpointing_wants_gradients(
    strategy, untrained, encoder, images
):
    from backend.conversation import Message
    from backend.programs.model.packing import learned_logits, pack

    model, _ = prepared(untrained, strategy, checkpointing=True)
    looked = []
    for name, module in model.named_modules():
        if name.endswith("visual.merger"):
            module.register_forward_hook(lambda _module, _given, made: looked.append(made.requires_grad))
    turns = (Message(role="user", content="<image>What?"), Message(role="assistant", content="A circle."))
    batch = pack([encoder.encode(turns, images[:1])])

    logits = learned_logits(model, batch)

    assert looked == [False]
    assert logits.requires_grad


@pytest.mark.parametrize("strategy", STRATEGY_NAMES)
def test_t6_the_panel_counts_what_is_trained(strategy, untrained):
    model, spec = prepared(untrained, strategy)
    config = read_config(untrained)
    counts = count_parameters(config)

    expected = sum(counts[part] for part in counts if spec.table.how(part) == "full")
    expected += count_adapters(config, "language", spec.strategy.lora_rank) if spec.table.uses_lora else 0

    assert sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad) == expected


@pytest.mark.parametrize("strategy", ["lora", "qlora"])
@pytest.mark.parametrize("dora", [False, True])
def test_t6_adapters_on_the_vision_tower_are_counted_and_learn(strategy, dora, untrained, encoder, images):
    from backend.conversation import Message
    from backend.programs.model.packing import learned_logits, pack

    model, spec = prepared(untrained, strategy, **{"strategy.lora_vision": True, "strategy.dora": dora})
    config = read_config(untrained)
    turns = (Message(role="user", content="<image>What?"), Message(role="assistant", content="A circle."))
    batch = pack([encoder.encode(turns, images[:1])])

    torch.nn.functional.cross_entropy(learned_logits(model, batch).float(), batch["shift_labels"]).backward()

    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(".lora_" in name and parameter.grad is not None for name, parameter in trained.items())
    for part in ("vision", "language"):
        of_part = [parameter.numel() for name, parameter in trained.items() if part_of(plain(name)) == part]
        assert sum(of_part) == count_adapters(config, part, spec.strategy.lora_rank, dora=dora)


def plain(name: str) -> str:
    from backend.programs.model.parts import plain_name

    return plain_name(name)


def test_t6_quantisation_leaves_the_tower_and_the_head_whole(untrained):
    model, _ = prepared(untrained, "qlora")

    modules = model.named_modules()
    four_bit = {name for name, module in modules if type(module).__name__ == "Linear4bit" and "base_layer" in name}

    layers = {f"layers.{number}." for number in range(4)}
    assert len(four_bit) == 4 * 7
    assert all("model.language_model.layers." in name and any(layer in name for layer in layers) for name in four_bit)


def test_each_part_learns_at_its_own_rate_and_norms_do_not_decay(untrained):
    from backend.programs.model.parts import optimiser_groups

    model, spec = prepared(untrained, "full")
    spec = spec.with_values({"optimiser.weight_decay": 0.1})

    groups = optimiser_groups(model, spec)

    seen = {(group["name"], group["lr"], group["weight_decay"]) for group in groups}
    assert seen == {
        (part, rate, decay)
        for part, rate in (("vision", 3e-3), ("merger", 2e-3), ("language", 1e-3))
        for decay in (0.1, 0.0)
    }
    assert sum(parameter.numel() for group in groups for parameter in group["params"]) == sum(
        parameter.numel() for parameter in model.parameters()
    )


def test_parameters_of_the_released_sizes_are_counted_right():
    from backend.catalog.models import CATALOGUE

    assert {name: model.parameters for name, model in CATALOGUE.items() if name != "demo"} == {
        "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
        "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
        "Qwen/Qwen2.5-VL-32B-Instruct": 33_452_718_336,
        "Qwen/Qwen2.5-VL-72B-Instruct": 73_410_777_344,
    }
