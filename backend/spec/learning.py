"""Which parts learn, how fast and for how long, and how many samples make a step."""

from typing import Literal

from backend.spec.knobs import Part, knob
from backend.spec.strategies import StrategyName


class StrategyKnobs(Part):
    """Which parts learn."""

    name: StrategyName = knob("lora", label="Strategy", help="Which parts of the model learn", advanced=False)
    lora_rank: int = knob(16, label="LoRA rank", help="Width of each adapter", ge=1, le=512)
    lora_alpha: int = knob(32, label="LoRA alpha", help="Adapters are scaled by alpha / rank", ge=1, le=1024)
    lora_dropout: float = knob(
        0.0, label="LoRA dropout", help="Share of adapter inputs dropped in training", ge=0, lt=1
    )
    lora_vision: bool = knob(
        False, label="Adapters on vision too", help="LoRA and QLoRA: the vision tower gets adapters as well"
    )
    dora: bool = knob(False, label="DoRA", help="Adapters learn length and direction apart; slower, often a bit better")
    rslora: bool = knob(False, label="Rank-stabilised LoRA", help="Scale by alpha / √rank, for high ranks")


class OptimiserKnobs(Part):
    """How fast, and for how long. A rate left empty takes the model's own suggestion for the strategy."""

    epochs: float = knob(3.0, label="Epochs", help="Passes over the training rows", unit="passes", gt=0, le=1000)
    max_steps: int = knob(
        0, label="Step limit", help="Stop after so many optimizer steps; 0 means by epochs", unit="steps",
        ge=0, le=10**7,
    )  # fmt: skip
    language_rate: float | None = knob(
        None, label="Learning rate, language", help="Peak rate of the language model or its adapters", gt=0, le=1
    )
    merger_rate: float | None = knob(
        None, label="Learning rate, merger", help="Peak rate of the bridge from vision to language", gt=0, le=1
    )
    vision_rate: float | None = knob(
        None, label="Learning rate, vision", help="Peak rate of the vision tower or its adapters", gt=0, le=1
    )
    schedule: Literal["cosine", "linear", "constant"] = knob(
        "cosine", label="Schedule", help="How the rate falls after warm-up"
    )
    warmup_ratio: float = knob(0.03, label="Warm-up", help="Share of the steps in which the rate rises", ge=0, le=1)
    weight_decay: float = knob(0.0, label="Weight decay", help="Pull of the weights towards zero", ge=0, le=1)
    max_grad_norm: float = knob(1.0, label="Gradient clip", help="Largest gradient norm of one step", gt=0, le=1000)


class BatchingKnobs(Part):
    """How many samples make a step."""

    batch_size: int = knob(
        8, label="Batch size", help="Samples per forward pass and process", unit="samples", ge=1, le=1024
    )
    accumulation_steps: int = knob(
        1, label="Accumulation", help="Forward passes per optimizer step", unit="passes", ge=1, le=4096
    )
    max_tokens: int = knob(
        0, label="Tokens per pass", help="Fill each forward pass up to this instead of by batch size; 0 means off",
        unit="tokens", ge=0, le=2**22,
    )  # fmt: skip
    packing: bool = knob(
        True, label="Packing", help="Samples of a pass stand in one row without padding; off is slower, same result"
    )
    gradient_checkpointing: bool = knob(False, label="Gradient checkpointing", help="Less memory, about a third slower")
