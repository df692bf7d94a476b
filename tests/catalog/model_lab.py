"""Small model folders that could be loaded, made of bytes, and what hostile hands make of them."""

import json
import struct
from pathlib import Path
from typing import Any

from backend.catalog.model_config import count_parameters

CONFIG: dict[str, Any] = {
    "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "model_type": "qwen2_5_vl",
    "tie_word_embeddings": True,
    "text_config": {
        "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "vocab_size": 32,
    },
    "vision_config": {"hidden_size": 8, "intermediate_size": 8, "depth": 1, "out_hidden_size": 8, "patch_size": 14},
}  # fmt: skip
NUMBERS = sum(count_parameters(CONFIG).values())
TOKENIZER = {"model": {"type": "BPE", "vocab": {}, "merges": []}}
ADAPTER = {
    "peft_type": "LORA", "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": ["q_proj", "v_proj"],
    "base_model_name_or_path": "demo", "init_lora_weights": True, "rank_pattern": {}, "task_type": "CAUSAL_LM",
}  # fmt: skip


def framed(header: bytes, body: bytes) -> bytes:
    """A file in the format of safetensors, whatever the header says."""
    return struct.pack("<Q", len(header)) + header + body


def safetensors(tensors: dict[str, int]) -> bytes:
    """A sound file: each tensor so many numbers of fp32, all zero."""
    header, reached = {}, 0
    for name, numbers in tensors.items():
        header[name] = {"dtype": "F32", "shape": [numbers], "data_offsets": [reached, reached + 4 * numbers]}
        reached += 4 * numbers
    return framed(json.dumps(header).encode(), bytes(reached))


def model_folder(path: Path, *, shards: bool = False) -> Path:
    """A whole model, its weights in one file or in two."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(CONFIG))
    (path / "tokenizer.json").write_text(json.dumps(TOKENIZER))
    if not shards:
        (path / "model.safetensors").write_bytes(safetensors({"all": NUMBERS}))
        return path
    (path / "model-1.safetensors").write_bytes(safetensors({"first": 100}))
    (path / "model-2.safetensors").write_bytes(safetensors({"rest": NUMBERS - 100}))
    write_index(path, {"first": "model-1.safetensors", "rest": "model-2.safetensors"})
    return path


def write_index(path: Path, places: dict[str, Any]) -> None:
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


def adapter_folder(path: Path, base: str = "demo", **changes: Any) -> Path:
    """An adapter with the studio's record, as somebody may hand it over."""
    path.mkdir(parents=True)
    weights = safetensors({"base_model.model.x.lora_A.weight": 8})
    (path / "adapter_model.safetensors").write_bytes(weights)
    config = ADAPTER | {"base_model_name_or_path": base} | changes
    (path / "adapter_config.json").write_text(json.dumps(config))
    record = {
        "version": 1, "kind": "adapter", "base": base, "strategy": "lora", "step": 1, "min_pixels": 3136,
        "max_pixels": 12544, "sizes": {"adapter_model.safetensors": len(weights)},
    }  # fmt: skip
    (path / "complete.json").write_text(json.dumps(record))
    return path


def changed_json(path: Path, **changes: Any) -> None:
    """Lay values over those of a JSON file; a dict is laid over a dict."""
    content = json.loads(path.read_text())
    for key, value in changes.items():
        content[key] = content[key] | value if isinstance(value, dict) and isinstance(content.get(key), dict) else value
    path.write_text(json.dumps(content))
