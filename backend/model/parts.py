"""Apply the module table to a model: what is frozen, where adapters go, which parameters share a rate."""

from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from backend.spec.run import RunSpec
from backend.spec.strategies import LORA_LANGUAGE, PARTS, PartName, part_of

WRAPPER = "base_model.model."  # what peft puts before every name


def apply_strategy(model: nn.Module, spec: RunSpec) -> nn.Module:
    """Freeze and adapt `model` as the spec's strategy says.

    Returns:
        The model, wrapped by peft where adapters were added.
    """
    adapted = model
    if spec.table.uses_lora:
        config = LoraConfig(
            r=spec.strategy.lora_rank,
            lora_alpha=spec.strategy.lora_alpha,
            lora_dropout=spec.strategy.lora_dropout,
            target_modules=LORA_LANGUAGE,
            task_type="CAUSAL_LM",
        )
        adapted = get_peft_model(model, config)
    for name, parameter in adapted.named_parameters():
        parameter.requires_grad_(is_trained(name, spec))
    return adapted


def is_trained(name: str, spec: RunSpec) -> bool:
    """Whether the parameter of that name gets a gradient."""
    if ".lora_" in name:
        return spec.table.uses_lora
    return spec.table.how(part_of(plain_name(name))) == "full"


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
            decays = parameter.ndim >= 2
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


def is_adapted(model: nn.Module) -> bool:
    """Whether peft wraps the model."""
    return isinstance(model, PeftModel)
