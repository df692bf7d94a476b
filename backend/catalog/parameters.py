"""How many parameters each part of a Qwen2.5-VL has, from its config.json alone."""

from typing import Any

from backend.spec.strategies import PartName

Counts = dict[PartName, int]
# What transformers takes where a released config.json is silent: Qwen2_5_VLVisionConfig.
TOWER = {"depth": 32, "hidden_size": 3584, "intermediate_size": 3420, "out_hidden_size": 3584}


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
