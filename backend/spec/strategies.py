"""The module table: for each strategy, which part of the model is trained, and how.

Freezing, optimiser groups, LoRA targets, the "what will be trained" panel and its parameter counts, and the test that
asserts exactly which tensors get a gradient all read this table and nothing else.
"""

from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

PartName = Literal["vision", "merger", "language", "head"]
How = Literal["frozen", "full", "lora"]
StrategyName = Literal["full", "lora", "qlora", "vit_only", "llm_only", "lora_llm_full_vit"]

PARTS: tuple[PartName, ...] = get_args(PartName)
STRATEGY_NAMES: tuple[StrategyName, ...] = get_args(StrategyName)

# Anchored on full module paths: the vision tower too has gate_proj, up_proj and down_proj.
PREFIXES: dict[PartName, str] = {
    "merger": "model.visual.merger.",
    "vision": "model.visual.",
    "language": "model.language_model.",
    "head": "lm_head.",
}
LORA_TARGETS: dict[PartName, str] = {
    "vision": r"model\.visual\.blocks\.\d+\.(attn\.(qkv|proj)|mlp\.(gate|up|down)_proj)",
    "language": r"model\.language_model\.layers\.\d+\.(self_attn\.(q|k|v|o)_proj|mlp\.(gate|up|down)_proj)",
}


@dataclass(frozen=True, slots=True)
class Strategy:
    """One row of the table: how each part learns, and whether the frozen language model is stored in 4 bits."""

    vision: How
    merger: How
    language: How
    head: How
    recipe: str  # of `backend/recipes`, which a form starts from
    quantised: bool = False

    def how(self, part: PartName) -> How:
        """How `part` is trained."""
        return {"vision": self.vision, "merger": self.merger, "language": self.language, "head": self.head}[part]

    def with_vision_adapters(self) -> Self:
        """The row of a run that asks for adapters on a vision tower which is frozen otherwise."""
        return replace(self, vision="lora") if self.uses_lora and self.vision == "frozen" else self

    @property
    def uses_lora(self) -> bool:
        """Whether adapters are added to some part."""
        return "lora" in (self.vision, self.merger, self.language, self.head)

    @property
    def lora_targets(self) -> str:
        """A regular expression that the full path of each adapted module matches whole."""
        return "|".join(f"({LORA_TARGETS[part]})" for part in LORA_TARGETS if self.how(part) == "lora")

    @property
    def learns_in_full(self) -> bool:
        """Whether some part learns by itself rather than through adapters."""
        return "full" in (self.vision, self.merger, self.language, self.head)

    @property
    def is_whole(self) -> bool:
        """Whether a checkpoint is a complete model rather than an adapter (with or without vision weights)."""
        return not self.uses_lora


STRATEGIES: dict[StrategyName, Strategy] = {
    #                       vision    merger    language  head
    "full": Strategy("full", "full", "full", "full", "full_finetune"),
    "lora": Strategy("frozen", "frozen", "lora", "frozen", "lora"),
    "qlora": Strategy("frozen", "frozen", "lora", "frozen", "qlora_advanced", quantised=True),
    "vit_only": Strategy("full", "full", "frozen", "frozen", "vit_only"),
    "llm_only": Strategy("frozen", "frozen", "full", "full", "llm_only"),
    "lora_llm_full_vit": Strategy("full", "full", "lora", "frozen", "lora_llm_full_vit"),
}


def part_of(parameter: str) -> PartName:
    """Name the part that a parameter of `Qwen2_5_VLForConditionalGeneration` belongs to.

    Args:
        parameter: its full name, e.g. `model.visual.blocks.0.attn.qkv.weight`.

    Raises:
        ValueError: a name outside the four parts, which means that the architecture is not Qwen2.5-VL as we know it.
    """
    for part, prefix in PREFIXES.items():  # the merger stands before the tower it lies in
        if parameter.startswith(prefix):
            return part
    raise ValueError(f"`{parameter}` belongs to no known part of Qwen2.5-VL")
