"""Apply the module table to a model: what is frozen, where adapters go, which parameters share a rate."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from backend.spec.run import RunSpec
from backend.spec.strategies import PARTS, PartName, part_of

WRAPPER = "base_model.model."  # what peft puts before every name


def apply_strategy(model: nn.Module, spec: RunSpec) -> nn.Module:
    """Freeze and adapt `model` as the spec's strategy says.

    Returns:
        The model, wrapped by peft where adapters were added.
    """
    adapted = adapted_by(model, spec) if spec.table.uses_lora else model
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(is_trained(name, spec))
    if not any(parameter.requires_grad for parameter in vision_tower(adapted).parameters()):
        forward = vision_tower(adapted).forward
        vision_tower(adapted).forward = torch.no_grad()(
            forward
        )  # checkpointing would ask it for gradients all the same
    return adapted


def adapted_by(model: nn.Module, spec: RunSpec) -> nn.Module:
    """The model with adapters in its own precision: ZeRO-3 takes no two kinds, and DeepSpeed keeps fp32 masters."""
    return get_peft_model(model, lora_config(spec), autocast_adapter_dtype=False)


def vision_tower(model: nn.Module) -> nn.Module:
    """What reads images, the merger included, under whatever wraps the model."""
    return next(module for name, module in model.named_modules() if name.split(".")[-1] == "visual")


def lora_config(spec: RunSpec) -> LoraConfig:
    """The adapters of a spec whose strategy has some, their places anchored on full module paths."""
    chosen = spec.strategy
    return LoraConfig(
        r=chosen.lora_rank,
        lora_alpha=chosen.lora_alpha,
        lora_dropout=chosen.lora_dropout,
        target_modules=spec.table.lora_targets,
        use_dora=chosen.dora,
        use_rslora=chosen.rslora,
        task_type="CAUSAL_LM",
    )


def is_trained(name: str, spec: RunSpec) -> bool:
    """Whether the parameter of that name gets a gradient."""
    how = spec.table.how(part_of(plain_name(name)))
    return how == ("lora" if ".lora_" in name else "full")


def plain_name(name: str) -> str:
    """The name a parameter has in the released model, without what peft adds."""
    return name.removeprefix(WRAPPER).replace(".base_layer.", ".")


def optimiser_groups(model: nn.Module, spec: RunSpec) -> list[dict[str, Any]]:
    """Group the trained parameters by part and by whether weight decay applies (not to norms and biases).

    Returns:
        Groups as torch optimizers take them, each with `lr`, `weight_decay` and the part's `name`.
    """
    rates = _rates(spec)
    groups: dict[tuple[PartName, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decays = len(whole_shape(parameter)) >= 2
            groups.setdefault((part_of(plain_name(name)), decays), []).append(parameter)
    order = sorted(groups, key=lambda key: (PARTS.index(key[0]), not key[1]))
    return [
        {
            "name": part,
            "params": groups[part, decays],
            "lr": rates[part],
            "weight_decay": spec.optimiser.weight_decay if decays else 0.0,
        }
        for part, decays in order
    ]


def whole_shape(parameter: nn.Parameter) -> tuple[int, ...]:
    """The shape of a parameter as released, also where ZeRO-3 has left this process only a piece of it."""
    return tuple(getattr(parameter, "ds_shape", parameter.shape))


def whole_size(parameter: nn.Parameter) -> int:
    """How many numbers a parameter has as released, also under ZeRO-3."""
    return int(getattr(parameter, "ds_numel", parameter.numel()))


def _rates(spec: RunSpec) -> dict[PartName, float]:
    """The resolved spec's rate of each part; a frozen part has none and is never asked for."""
    chosen = spec.optimiser
    named: dict[PartName, float | None] = {
        "vision": chosen.vision_rate,
        "merger": chosen.merger_rate,
        "language": chosen.language_rate,
        "head": chosen.language_rate,
    }
    return {part: rate for part, rate in named.items() if rate is not None}
