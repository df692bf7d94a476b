"""Whether a `tokenizer.json` cuts texts as Qwen2.5-VL's does, before a library builds it: others may never come back.

What a text is put through is a program of the file's own: a rule that doubles every letter, 22 times in a row, makes
gigabytes of one word, and a pattern may look for hours. So only the parts that this family uses are taken.

Source of the pattern: `PRETOKENIZE_REGEX` in transformers, models/qwen2/tokenization_qwen2.py.
"""

from collections.abc import Iterator
from typing import Any

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
                yield f"puts texts through {_shown(kind)} (`{stage}` in tokenizer.json)"
            elif kind == "Split" and part.get("pattern") != {"Regex": PATTERN}:
                yield f"cuts texts by a pattern of its own, {_shown(part.get('pattern'))} (`{stage}` in tokenizer.json)"


def _parts(stage: Any, inner: str) -> Iterator[Any]:
    """The steps of one stage, those within sequences too, and no more than one too many; the depth is bounded."""
    left, found = [stage] if stage is not None else [], 0
    while left and found <= MOST_PARTS:
        part = left.pop()
        if isinstance(part, dict) and part.get("type") == "Sequence" and isinstance(part.get(inner), list):
            left += part[inner][: MOST_PARTS + 1]
        else:
            found += 1
            yield part


def _shown(value: object) -> str:
    return f"`{str(value)[:60]}`"
