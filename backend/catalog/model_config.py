"""What a `config.json` says of a Qwen2.5-VL: whether it can exist, and how many parameters each part has."""

from collections.abc import Iterator
from typing import Any

from backend.spec.strategies import PartName

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
# What an image becomes is computed from these without the model, so they cannot be others.
FIXED_OF_TOWER = {"patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "in_chans": 3}
Counts = dict[PartName, int]
# What transformers takes where a released config.json is silent: Qwen2_5_VLVisionConfig.
TOWER = {"depth": 32, "hidden_size": 3584, "intermediate_size": 3420, "out_hidden_size": 3584}


def faults_of_config(config: dict[str, Any]) -> Iterator[str]:
    """Say everything that keeps a config from being one of a Qwen2.5-VL, each with its value."""
    if config.get("model_type") != MODEL_TYPE:
        yield f"is a {_quoted(config.get('model_type'))} model"
        return
    if config.get("architectures") not in (None, [ARCHITECTURE]):
        yield f"has the architecture {_quoted(config['architectures'])}, not `{ARCHITECTURE}`"
    stored = config.get("quantization_config")
    if stored:
        method = stored.get("quant_method") if isinstance(stored, dict) else stored
        yield f"is stored in fewer bits ({_quoted(method)}), and only whole weights can be trained"
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
                yield f"sets `vision_config.{key}` to {_quoted(tower[key])}, not {value}"


def count_parameters(config: dict[str, Any]) -> Counts:
    """Count each part of the model that `config` describes; with tied embeddings the head counts as language.

    Source: the modules of transformers' modeling_qwen2_5_vl.py; a test compares with the model itself.
    """
    text, vision = config.get("text_config", config), TOWER | config["vision_config"]
    width, inner = text["hidden_size"], text["intermediate_size"]
    heads = text["num_attention_heads"]
    keys = text["num_key_value_heads"] * (width // heads)
    attention = width * width + width + 2 * (width * keys + keys) + width * width
    layer = attention + 3 * width * inner + 2 * width
    embeddings = text["vocab_size"] * width
    tied = text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))
    return {
        "vision": _tower(vision),
        "merger": _merger(vision),
        "language": text["num_hidden_layers"] * layer + width + embeddings,
        "head": 0 if tied else embeddings,
    }


def count_adapters(config: dict[str, Any], part: PartName, rank: int, *, dora: bool = False) -> int:
    """Count the adapter parameters that LoRA adds to the linear layers of a part's blocks.

    Args:
        config: the model's.
        part: the language model has seven linear layers a block, the vision tower five; other parts get no adapters.
        rank: of the two matrices of each adapter.
        dora: each adapter also learns the length of every output.
    """
    places = {"language": _language_linears, "vision": _vision_linears}
    if part not in places:
        return 0
    blocks, sides = places[part](config)
    return sum(rank * (inputs + outputs) + (outputs if dora else 0) for inputs, outputs in sides) * blocks


def _out_of_range(part: dict[str, Any], most: dict[str, int], prefix: str, *, required: bool) -> Iterator[str]:
    for key, largest in most.items():
        value = part.get(key)
        if value is None and required:
            yield f"does not say its `{prefix}{key}`"
        elif key in part and (type(value) is not int or not 1 <= value <= largest):
            yield f"sets `{prefix}{key}` to {_quoted(value)}, which is no number from 1 to {largest:,}"


def _uneven_heads(text: dict[str, Any]) -> Iterator[str]:
    values = [text.get(key) for key in ("hidden_size", "num_attention_heads", "num_key_value_heads")]
    counts = [value for value in values if type(value) is int and value > 0]
    if len(counts) < len(values):
        return
    width, heads, keys = counts
    if width % heads or heads % keys:
        yield f"shares a width of {width} among {heads} heads and {keys} groups, which does not come out even"


def _quoted(value: object) -> str:
    return f"`{str(value)[:60]}`"


def _language_linears(config: dict[str, Any]) -> tuple[int, list[tuple[int, int]]]:
    """Number of blocks, and (inputs, outputs) of each linear layer in one."""
    text = config.get("text_config", config)
    width, inner = text["hidden_size"], text["intermediate_size"]
    keys = text["num_key_value_heads"] * (width // text["num_attention_heads"])
    attention = [(width, width), (width, keys), (width, keys), (width, width)]
    return int(text["num_hidden_layers"]), [*attention, (width, inner), (width, inner), (inner, width)]


def _vision_linears(config: dict[str, Any]) -> tuple[int, list[tuple[int, int]]]:
    vision = TOWER | config["vision_config"]
    width, inner = vision["hidden_size"], vision["intermediate_size"]
    sides = [(width, 3 * width), (width, width), (width, inner), (width, inner), (inner, width)]
    return int(vision["depth"]), sides


def _tower(vision: dict[str, Any]) -> int:
    width, inner = vision["hidden_size"], vision["intermediate_size"]
    patch = vision.get("in_channels", 3) * vision.get("temporal_patch_size", 2) * vision.get("patch_size", 14) ** 2
    block = 3 * width * width + 3 * width + width * width + width + 3 * width * inner + 2 * inner + width + 2 * width
    return int(patch * width + vision["depth"] * block)


def _merger(vision: dict[str, Any]) -> int:
    width, out = vision["hidden_size"], vision["out_hidden_size"]
    joined = width * vision.get("spatial_merge_size", 2) ** 2
    return int(width + joined * joined + joined + joined * out + out)
