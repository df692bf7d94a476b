"""Whether an `adapter_config.json` is one of plain LoRA: nothing in it may make peft import, search or read more."""

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

from backend.spec.strategies import LORA_TARGETS

# The studio's own places are patterns, and only these: a foreign pattern could keep the matching busy for ever.
OWN_TARGETS = frozenset(
    "|".join(f"({target})" for target in chosen)
    for count in range(1, len(LORA_TARGETS) + 1)
    for chosen in combinations(LORA_TARGETS.values(), count)
)
NUMBERS = {"r": (1, 4_096), "lora_alpha": (0, 1_000_000), "lora_dropout": (0, 1)}
# Patterns, or orders to build adapters in other ways; the studio writes none of them.
UNUSED = ("modules_to_save", "exclude_modules", "layers_to_transform", "layers_pattern", "target_parameters")
KNOWN = {*NUMBERS, *UNUSED, "peft_type", "target_modules", "init_lora_weights", "base_model_name_or_path"}
MOST_TARGETS = 10_000
MOST_CHARACTERS = 200
_MODULE = re.compile(r"[A-Za-z0-9_.]{1,200}")


def faults_of_adapter(config: dict[str, Any]) -> Iterator[str]:
    """Say everything that is not plain LoRA, each with its value."""
    if config.get("peft_type") != "LORA":
        yield f"holds adapters of the kind `{str(config.get('peft_type'))[:60]}`, not LoRA"
        return
    for key, (least, most) in NUMBERS.items():
        if not _is_number(config.get(key, least), least, most):
            yield f"sets `{key}` to `{str(config[key])[:60]}`, which is no number from {least} to {most:,}"
    if not _is_target(config.get("target_modules")):
        yield "sets `target_modules` to something that is neither a list of module names nor the studio's own"
    for key in UNUSED:
        if config.get(key):
            yield f"sets `{key}`, which the studio's adapters do not have"
    if not isinstance(config.get("init_lora_weights", True), bool):
        yield f"sets `init_lora_weights` to `{str(config['init_lora_weights'])[:60]}`"
    odd = [key for key in config if key not in KNOWN and not _is_plain(config[key])]
    yield from (f"sets `{key[:60]}` to more than a plain value" for key in odd)


def _is_number(value: object, least: int, most: int) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _is_target(value: object) -> bool:
    if isinstance(value, str):
        return value in OWN_TARGETS
    if not isinstance(value, list) or not 0 < len(value) <= MOST_TARGETS:
        return False
    return all(isinstance(name, str) and bool(_MODULE.fullmatch(name)) for name in value)


def _is_plain(value: object) -> bool:
    """A number, a truth, a short text, or nothing; a filled list or table orders something that is not LoRA."""
    if isinstance(value, str):
        return len(value) <= MOST_CHARACTERS
    return not value or isinstance(value, bool | int | float)
