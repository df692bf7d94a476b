"""The parts of a training run's spec: data, model, optimiser, batching, evaluation, saving, reporting, devices."""

from typing import Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from backend.spec.knobs import EVERY_KIND, TRAINING, RunKind, SpecModel, knob
from backend.spec.strategies import StrategyName

CELL = 28 * 28  # pixels of one visual token
MetricName = Literal["exact_match", "similarity", "box_iou", "loss"]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)


class DatasetShare(SpecModel):
    """One dataset of the mix."""

    name: str = Field(min_length=1)
    weight: float = Field(1.0, gt=0, le=1000)
    sha256: str = ""  # of the rows, filled in when the run is created


class DataKnobs(SpecModel):
    """What is learned from."""

    read_by: ClassVar[tuple[RunKind, ...]] = EVERY_KIND

    datasets: tuple[DatasetShare, ...] = knob(
        (), label="Datasets", help="Names under data/, each with a weight", advanced=False
    )
    max_tokens: int = knob(
        2048,
        label="Longest sample",
        help="In text and image tokens; a sample is never cut",
        unit="tokens",
        ge=64,
        le=131072,
    )
    too_long: Literal["skip", "shrink"] = knob(
        "skip", label="Longer samples", help="Are left out, or their images are scaled down until they fit; counted"
    )
    boxes: Literal["as_written", "stored_pixels"] = knob(
        "as_written", label="Boxes in texts", help="In pixels of the stored image they are scaled as the image is"
    )
    seed: int = knob(
        42, label="Seed", help="Same seed, same order of samples and same starting adapters", ge=0, le=2**31
    )


class ModelKnobs(SpecModel):
    """What is trained, and how large it sees."""

    read_by: ClassVar[tuple[RunKind, ...]] = (*TRAINING, "reward_check")

    base: str = knob("demo", label="Model", help="A catalogue name, a local folder, or a finished run", advanced=False)
    min_pixels: int = knob(
        4 * CELL, label="Smallest image", help="Smaller images are scaled up", unit="px", ge=CELL, le=16384 * CELL
    )
    max_pixels: int = knob(
        576 * CELL, label="Largest image", help="Larger images are scaled down", unit="px", ge=CELL, le=16384 * CELL
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = knob(
        "auto", label="Precision", help="auto takes bf16 where the GPU has it, else fp32; fp16 needs a GPU"
    )

    @model_validator(mode="after")
    def _pixels_in_order(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"`model.min_pixels` is {self.min_pixels:,}, above `model.max_pixels` of {self.max_pixels:,}"
            )
        return self


class StrategyKnobs(SpecModel):
    """Which parts learn."""

    name: StrategyName = knob("lora", label="Strategy", help="Which parts of the model learn", advanced=False)
    lora_rank: int = knob(16, label="LoRA rank", help="Width of each adapter", needs="adapters", ge=1, le=512)
    lora_alpha: int = knob(
        32, label="LoRA alpha", help="Adapters are scaled by alpha / rank", needs="adapters", ge=1, le=1024
    )
    lora_dropout: float = knob(
        0.0, label="LoRA dropout", help="Share of adapter inputs dropped in training", needs="adapters", ge=0, lt=1
    )
    lora_vision: bool = knob(
        False,
        label="Adapters on vision too",
        help="LoRA and QLoRA: the vision tower gets adapters as well",
        needs="adapters",
    )
    dora: bool = knob(
        False,
        label="DoRA",
        help="Adapters learn length and direction apart; slower, often a bit better",
        needs="adapters",
    )
    rslora: bool = knob(
        False, label="Rank-stabilised LoRA", help="Scale by alpha / √rank, for high ranks", needs="adapters"
    )


class OptimiserKnobs(SpecModel):
    """How fast, and for how long. A rate left empty takes the model's own suggestion for the strategy."""

    epochs: float = knob(3.0, label="Epochs", help="Passes over the training rows", unit="passes", gt=0, le=1000)
    max_steps: int = knob(
        0,
        label="Step limit",
        help="Stop after so many optimizer steps; 0 means by epochs",
        unit="steps",
        ge=0,
        le=10**7,
    )
    language_rate: float | None = knob(
        None,
        label="Learning rate, language",
        help="Peak rate of the language model or its adapters",
        needs="language",
        gt=0,
        le=1,
    )
    merger_rate: float | None = knob(
        None,
        label="Learning rate, merger",
        help="Peak rate of the bridge from vision to language",
        needs="merger",
        gt=0,
        le=1,
    )
    vision_rate: float | None = knob(
        None,
        label="Learning rate, vision",
        help="Peak rate of the vision tower or its adapters",
        needs="vision",
        gt=0,
        le=1,
    )
    schedule: Literal["cosine", "linear", "constant"] = knob(
        "cosine", label="Schedule", help="How the rate falls after warm-up"
    )
    warmup_ratio: float = knob(0.03, label="Warm-up", help="Share of the steps in which the rate rises", ge=0, le=1)
    weight_decay: float = knob(0.0, label="Weight decay", help="Pull of the weights towards zero", ge=0, le=1)
    max_grad_norm: float = knob(1.0, label="Gradient clip", help="Largest gradient norm of one step", gt=0, le=1000)


class BatchingKnobs(SpecModel):
    """How many samples make a step."""

    batch_size: int = knob(
        8, label="Batch size", help="Samples per forward pass and process", unit="samples", ge=1, le=1024
    )
    accumulation_steps: int = knob(
        1, label="Accumulation", help="Forward passes per optimizer step", unit="passes", ge=1, le=4096
    )
    max_tokens: int = knob(
        0,
        label="Tokens per pass",
        help="Fill each forward pass up to this instead of by batch size; 0 means off",
        read_by=("sft",),
        unit="tokens",
        ge=0,
        le=2**22,
    )
    packing: bool = knob(
        True, label="Packing", help="Samples of a pass stand in one row without padding; off is slower, same result"
    )
    gradient_checkpointing: bool = knob(False, label="Gradient checkpointing", help="Less memory, about a third slower")


class EvaluationKnobs(SpecModel):
    """How the model is measured on validation rows while it learns."""

    rows: int = knob(
        64,
        label="Rows evaluated",
        help="Validation rows answered at the start, on the way and at the end; 0 is off",
        unit="rows",
        ge=0,
        le=100_000,
    )
    every_steps: int = knob(
        0,
        label="Evaluate every",
        help="Optimizer steps between evaluations; 0 is at the start and the end only",
        unit="steps",
        ge=0,
        le=10**7,
    )
    max_new_tokens: int = knob(
        64, label="Longest answer", help="Answers are cut there and count as given", unit="tokens", ge=1, le=8192
    )
    metric: MetricName = knob(
        "exact_match", label="Best by", help="What tells the best checkpoint and stops early; loss: lower is better"
    )
    own_metrics: tuple[str, ...] = knob(
        (), label="Own metrics", help="Names of own rewards, whose mean over these rows is reported too"
    )
    patience: int = knob(
        0,
        label="Early stopping",
        help="Stop after so many evaluations without a better one; 0 means never",
        unit="evaluations",
        ge=0,
        le=1000,
    )


class SavingKnobs(SpecModel):
    """What stays on disk."""

    every_steps: int = knob(
        0,
        label="Checkpoint every",
        help="Optimizer steps between checkpoints; 0 means by time only",
        unit="steps",
        ge=0,
        le=10**7,
    )
    every_minutes: float = knob(
        10.0,
        label="Checkpoint at least every",
        help="So that a crash costs no more than this; 0 means never",
        unit="minutes",
        ge=0,
        le=10_000,
    )
    keep: int = knob(
        3,
        label="Checkpoints kept",
        help="Older ones are removed, never the best or the last",
        unit="checkpoints",
        ge=1,
        le=1000,
    )
    final: Literal["last", "best"] = knob(
        "last", label="Final model", help="The last step's weights, or those of the best evaluation"
    )


class ReportingKnobs(SpecModel):
    """Who is told besides the local record, which is always kept."""

    wandb: Literal["off", "offline", "online"] = knob(
        "off",
        label="Weights & Biases",
        help="offline writes files to sync later; online takes the key of `wandb login`",
    )
    project: str = knob("vl-studio", label="W&B project", help="Where the run appears there", max_length=120)


class DeviceKnobs(SpecModel):
    """Where it runs, and how it is spread."""

    gpus: tuple[int, ...] = knob(
        (), label="GPUs", help="CUDA indices; empty takes the first free one, or the CPU", read_by=EVERY_KIND
    )
    shared: bool = knob(
        False, label="Share devices", help="Start at once, beside whatever holds them; memory may not suffice for both"
    )
    processes: int = knob(
        1,
        label="CPU processes",
        help="Without a GPU: processes that share the samples of a step",
        unit="processes",
        ge=1,
        le=64,
    )
    threads: int = knob(
        0,
        label="CPU threads",
        help="Threads of each process; 0 shares the cores out",
        read_by=EVERY_KIND,
        unit="threads",
        ge=0,
        le=1024,
    )
    zero_stage: Literal[0, 2, 3] = knob(
        0, label="ZeRO stage", help="What processes share out: 0 nothing, 2 optimizer and gradients, 3 weights as well"
    )
    offload_optimizer: bool = knob(
        False, label="Offload optimizer", help="ZeRO 2 and 3: optimizer states rest in main memory; slower"
    )
    offload_parameters: bool = knob(
        False, label="Offload weights", help="ZeRO 3: weights rest in main memory; much slower"
    )
    deepspeed: dict[str, Any] = knob(
        {}, label="DeepSpeed overrides", help="JSON laid over the deepspeed.json that these settings make"
    )
