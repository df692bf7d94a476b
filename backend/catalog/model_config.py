"""Whether a `config.json` describes a Qwen2.5-VL that can exist, before anything is built from its numbers."""

from collections.abc import Iterator
from typing import Any

ARCHITECTURE = "Qwen2_5_VLForConditionalGeneration"
MODEL_TYPE = "qwen2_5_vl"
# From 1 to these, far above the largest released model: what is built from a larger number only fills the memory.
MOST = {
    "hidden_size": 65_536, "intermediate_size": 1_048_576, "num_hidden_layers": 1_000, "num_attention_heads": 4_096,
    "num_key_value_heads": 4_096, "vocab_size": 4_194_304,
}  # fmt: skip
MOST_OF_TOWER = {
    "hidden_size": 65_536, "intermediate_size": 1_048_576, "depth": 1_000, "out_hidden_size": 65_536,
    "num_heads": 4_096, "window_size": 100_000, "tokens_per_second": 1_000,
}  # fmt: skip
# What a picture becomes is computed from these without the model, so they cannot be others.
FIXED_OF_TOWER = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "in_chans": 3}


def faults_of_config(config: dict[str, Any]) -> Iterator[str]:
    """Say everything that keeps a config from being one of a Qwen2.5-VL, each with its value."""
    if config.get("model_type") != MODEL_TYPE:
        yield f"is a {_shown(config.get('model_type'))} model"
        return
    if config.get("architectures") not in (None, [ARCHITECTURE]):
        yield f"has the architecture {_shown(config['architectures'])}, not `{ARCHITECTURE}`"
    stored = config.get("quantization_config")
    if stored:
        method = stored.get("quant_method") if isinstance(stored, dict) else stored
        yield f"is stored in fewer bits ({_shown(method)}), and only whole weights can be trained"
    text, tower = config.get("text_config", config), config.get("vision_config")
    if not isinstance(text, dict):
        yield "has a `text_config` that is no table"
    else:
        yield from _out_of_range(text, MOST, "", required=True)
        yield from _uneven_heads(text)
    if not isinstance(tower, dict):
        yield "has no `vision_config`"
    else:
        yield from _out_of_range(tower, MOST_OF_TOWER, "vision_config.", required=False)
        for key, value in FIXED_OF_TOWER.items():
            if key in tower and (type(tower[key]) is not int or tower[key] != value):
                yield f"sets `vision_config.{key}` to {_shown(tower[key])}, not {value}"


def _out_of_range(part: dict[str, Any], most: dict[str, int], prefix: str, *, required: bool) -> Iterator[str]:
    for key, largest in most.items():
        value = part.get(key)
        if value is None and required:
            yield f"does not say its `{prefix}{key}`"
        elif key in part and (type(value) is not int or not 1 <= value <= largest):
            yield f"sets `{prefix}{key}` to {_shown(value)}, which is no number from 1 to {largest:,}"


def _uneven_heads(text: dict[str, Any]) -> Iterator[str]:
    found = [text.get(key) for key in ("hidden_size", "num_attention_heads", "num_key_value_heads")]
    counts = [value for value in found if type(value) is int and value > 0]
    if len(counts) < len(found):
        return
    width, heads, keys = counts
    if width % heads or heads % keys:
        yield f"shares a width of {width} among {heads} heads and {keys} groups, which does not come out even"


def _shown(value: object) -> str:
    return f"`{str(value)[:60]}`"
