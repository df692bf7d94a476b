"""The JSON files of a model folder: read within bounds, and searched for what makes a library run or fetch more."""

import json
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 64 << 20
MAX_NESTING = 64  # levels; what the libraries write has eight at the most
# Tables of tokens, whose names may be anything.
VOCABULARIES = frozenset({"tokenizer.json", "vocab.json", "added_tokens.json"})
CODE_KEYS = frozenset({"auto_map", "trust_remote_code", "custom_pipelines"})
POINTER_KEYS = frozenset({"transformers_weights"})  # makes transformers load other files than those looked at here
# What the libraries read; whatever else lies there, a trainer's own notes for one, is nobody's business.
READ = frozenset({
    "config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "tokenizer.json",
    "vocab.json", "added_tokens.json", "processor_config.json", "preprocessor_config.json",
    "video_preprocessor_config.json", "chat_template.json", "adapter_config.json", "model.safetensors.index.json",
})  # fmt: skip


class TextFault(Exception):
    """Why a file cannot be used, in words that follow "has"."""


def read_text(path: Path, *, must_be_table: bool) -> dict[str, Any] | None:
    """Read one file; a list becomes a table of itself, and None is what holds neither.

    Raises:
        TextFault: it cannot be read, is too large or nested too deeply, or is no table where it must be one.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise TextFault(f"no readable {path.name}") from error
    if _is_deeper_than(MAX_NESTING, found):
        raise TextFault(f"a {path.name} that is nested more than {MAX_NESTING} deep")
    if must_be_table and not isinstance(found, dict):
        raise TextFault(f"no readable {path.name}")
    return found if isinstance(found, dict) else {"": found} if isinstance(found, list) else None


def set_keys(content: Any) -> set[str]:
    """Every key at any depth that says something, be it an empty text; the reader has bounded the depth."""
    left = [content]
    found: set[str] = set()
    while left:
        value = left.pop()
        if isinstance(value, dict):
            found |= {key for key, said in value.items() if said not in (None, False, {}, [])}
            left += value.values()
        elif isinstance(value, list):
            left += value
    return found


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _is_deeper_than(most: int, value: Any) -> bool:
    """Tell by looking level by level."""
    level: list[Any] = [[value]]
    for _ in range(most + 1):
        inner = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in inner if isinstance(child, dict | list)]
    return bool(level)
