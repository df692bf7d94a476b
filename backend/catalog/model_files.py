"""The files of a foreign model folder: read within bounds, no tensor among it, and nothing may run or fetch code."""

import json
import math
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from backend.spec.strategies import LORA_TARGETS

MAX_JSON_BYTES = 64 << 20
HEADER_LENGTH_BYTES = 8  # the length of a safetensors header, little-endian, stands before it
MAX_HEADER_BYTES = 25_000_000  # the largest released model needs 0.2 MB; the library itself reads up to 100 MB
PICKLE_STARTS = {b"PK": "a zip of pickles", b"\x80": "a pickle"}  # how files of `torch.save` begin
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
# The studio's own places are patterns, and only these: a foreign pattern could keep the matching busy for ever.
OWN_TARGETS = frozenset(
    "|".join(f"({target})" for target in chosen)
    for count in range(1, len(LORA_TARGETS) + 1)
    for chosen in combinations(LORA_TARGETS.values(), count)
)
NUMBERS = {"r": (1, 4_096), "lora_alpha": (0, 1_000_000), "lora_dropout": (0, 1)}
# Patterns, or orders to build adapters in other ways; the studio writes none of them.
UNUSED = ("modules_to_save", "exclude_modules", "layers_to_transform", "layers_pattern", "target_parameters")
KNOWN_KEYS = {*NUMBERS, *UNUSED, "peft_type", "target_modules", "init_lora_weights", "base_model_name_or_path"}
MOST_TARGETS = 10_000
MOST_CHARACTERS = 200
_MODULE = re.compile(r"[A-Za-z0-9_.]{1,200}")
KIND = "BPE"
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
MOST_PARTS = 16  # of one stage; the family needs two
STAGES = {  # stage -> what the list of a sequence's parts is called, and which parts there may be
    "normalizer": ("normalizers", {"NFC", "NFD", "NFKC", "NFKD"}),
    "pre_tokenizer": ("pretokenizers", {"Split", "ByteLevel", "Digits"}),
    "post_processor": ("processors", {"ByteLevel", "TemplateProcessing"}),
    "decoder": ("decoders", {"ByteLevel", "ByteFallback", "Fuse"}),
}


class UnreadableFileError(Exception):
    """Why a file cannot be used, in words that follow "has"."""


def read_text(path: Path, *, must_be_table: bool) -> dict[str, Any] | None:
    """Read one file; a list becomes a table of itself, and None is what holds neither.

    Raises:
        UnreadableFileError: it cannot be read, is too large or nested too deeply, or is no table where it must be one.
    """
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableFileError(f"no readable {path.name}") from error
    if _is_deeper_than(MAX_NESTING, content):
        raise UnreadableFileError(f"a {path.name} that is nested more than {MAX_NESTING} deep")
    if must_be_table and not isinstance(content, dict):
        raise UnreadableFileError(f"no readable {path.name}")
    return content if isinstance(content, dict) else {"": content} if isinstance(content, list) else None


class BrokenWeightsError(Exception):
    """What is wrong with a file of weights, in words that follow its name."""


def tensor_sizes(path: Path) -> dict[str, int]:
    """Count the numbers of each tensor in a safetensors file; the library reads its header, and no tensor.

    Raises:
        BrokenWeightsError: the file is no safetensors, was cut off, or its header contradicts itself.
        OSError: it cannot be read.
    """
    file_bytes = path.stat().st_size
    with path.open("rb") as source:
        prefix = source.read(HEADER_LENGTH_BYTES)
    header_bytes = int.from_bytes(prefix, "little")
    if HEADER_LENGTH_BYTES + header_bytes > file_bytes or header_bytes > MAX_HEADER_BYTES:
        raise BrokenWeightsError(_not_safetensors(prefix, file_bytes, header_bytes))
    from safetensors import SafetensorError, safe_open  # noqa: PLC0415 - only for what passes the first look

    try:
        with safe_open(path, framework="np") as weights:  # "np", as "pt" would import torch
            return {name: math.prod(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except SafetensorError as error:
        why = " ".join(str(error).split()).removeprefix("Error while deserializing header: ")
        raise BrokenWeightsError(f"is damaged, or no safetensors file: {why[:200]}") from error


def set_keys(content: Any) -> set[str]:
    """Every key at any depth that says something, be it an empty text; the reader has bounded the depth."""
    pending = [content]
    keys: set[str] = set()
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            keys |= {key for key, inner in value.items() if inner not in (None, False, {}, [])}
            pending += value.values()
        elif isinstance(value, list):
            pending += value
    return keys


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
    odd = [key for key in config if key not in KNOWN_KEYS and not _is_plain(config[key])]
    yield from (f"sets `{key[:60]}` to more than a plain value" for key in odd)


def faults_of_tokenizer(content: dict[str, Any]) -> Iterator[str]:
    """Say everything that a tokenizer.json does and Qwen2.5-VL's does not."""
    model = content.get("model")
    if not isinstance(model, dict) or model.get("type") != KIND:
        yield f"has a tokenizer.json that is not of the kind {KIND}"
    elif model.get("dropout"):
        yield "cuts the same text another way each time (`dropout` in tokenizer.json)"
    for stage, (inner, allowed) in STAGES.items():
        parts = list(_parts(content.get(stage), inner))
        if len(parts) > MOST_PARTS:
            yield f"puts texts through more than {MOST_PARTS} steps (`{stage}` in tokenizer.json)"
            continue
        for part in parts:
            kind = part.get("type") if isinstance(part, dict) else part
            if kind not in allowed:
                yield f"puts texts through {_quoted(kind)} (`{stage}` in tokenizer.json)"
            elif kind == "Split" and part.get("pattern") != {"Regex": PATTERN}:
                pattern = _quoted(part.get("pattern"))
                yield f"cuts texts by a pattern of its own, {pattern} (`{stage}` in tokenizer.json)"


def _not_safetensors(prefix: bytes, file_bytes: int, header_bytes: int) -> str:
    for start, kind in PICKLE_STARTS.items():
        if prefix.startswith(start):
            return f"is {kind} by another name"
    if len(prefix) < HEADER_LENGTH_BYTES:
        return f"is no safetensors file: it has {file_bytes} bytes"
    return f"is cut off, or no safetensors file: it has {file_bytes:,} bytes and speaks of a header of {header_bytes:,}"


def _refuse_constant(constant: str) -> None:
    raise ValueError(constant)


def _is_deeper_than(most: int, value: Any) -> bool:
    """Tell by looking level by level."""
    level: list[Any] = [[value]]
    for _ in range(most + 1):
        inner = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
        level = [child for child in inner if isinstance(child, dict | list)]
    return bool(level)


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


def _parts(stage: Any, inner: str) -> Iterator[Any]:
    """The steps of one stage, those within sequences too, and no more than one too many; the depth is bounded."""
    pending, count = [stage] if stage is not None else [], 0
    while pending and count <= MOST_PARTS:
        part = pending.pop()
        if isinstance(part, dict) and part.get("type") == "Sequence" and isinstance(part.get(inner), list):
            pending += part[inner][: MOST_PARTS + 1]
        else:
            count += 1
            yield part


def _quoted(value: object) -> str:
    return f"`{str(value)[:60]}`"
