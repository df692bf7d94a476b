"""Every knob of a run, named once: the form, the saved file, the command line and the README's table read this."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from backend.spec.knobs import Part, knob
from backend.spec.strategies import STRATEGIES, Strategy, StrategyName

CELL = 28 * 28  # pixels of one visual token


class DatasetShare(Part):
    """One dataset of the mix."""

    name: str = Field(min_length=1)
    weight: float = Field(1.0, gt=0, le=1000)
    sha256: str = ""  # of the rows, filled in when the run is created


class DataKnobs(Part):
    """What is learned from."""

    datasets: tuple[DatasetShare, ...] = knob(
        (), label="Datasets", help="Names under data/, each with a weight", advanced=False
    )
    max_tokens: int = knob(
        2048,
        label="Longest sample",
        help="Samples with more text and image tokens are left out and counted, never cut",
        unit="tokens",
        ge=64,
        le=131072,
    )
    seed: int = knob(
        42, label="Seed", help="Same seed, same order of samples and same starting adapters", ge=0, le=2**31
    )


class ModelKnobs(Part):
    """What is trained, and how large it sees."""

    base: str = knob("demo", label="Model", help="A catalogue name, a local folder, or a finished run", advanced=False)
    min_pixels: int = knob(
        4 * CELL, label="Smallest picture", help="Smaller pictures are scaled up", unit="px", ge=CELL, le=16384 * CELL
    )
    max_pixels: int = knob(
        576 * CELL, label="Largest picture", help="Larger pictures are scaled down", unit="px", ge=CELL, le=16384 * CELL
    )
    precision: Literal["auto", "bf16", "fp32"] = knob(
        "auto", label="Precision", help="auto takes bf16 where the GPU has it, else fp32"
    )

    @model_validator(mode="after")
    def _pixels_in_order(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"`model.min_pixels` is {self.min_pixels:,}, above `model.max_pixels` of {self.max_pixels:,}"
            )
        return self


class StrategyKnobs(Part):
    """Which parts learn."""

    name: StrategyName = knob("lora", label="Strategy", help="Which parts of the model learn", advanced=False)
    lora_rank: int = knob(16, label="LoRA rank", help="Width of each adapter", ge=1, le=512)
    lora_alpha: int = knob(32, label="LoRA alpha", help="Adapters are scaled by alpha / rank", ge=1, le=1024)
    lora_dropout: float = knob(
        0.0, label="LoRA dropout", help="Share of adapter inputs dropped in training", ge=0, lt=1
    )


class OptimiserKnobs(Part):
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
        None, label="Learning rate, language", help="Peak rate of the language model or its adapters", gt=0, le=1
    )
    merger_rate: float | None = knob(
        None, label="Learning rate, merger", help="Peak rate of the bridge from vision to language", gt=0, le=1
    )
    vision_rate: float | None = knob(
        None, label="Learning rate, vision", help="Peak rate of the vision tower", gt=0, le=1
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
    gradient_checkpointing: bool = knob(False, label="Gradient checkpointing", help="Less memory, about a third slower")


class SavingKnobs(Part):
    """What stays on disk."""

    every_steps: int = knob(
        0, label="Checkpoint every", help="Optimizer steps between checkpoints; 0 keeps only the final model",
        unit="steps", ge=0, le=10**7,
    )  # fmt: skip
    keep: int = knob(3, label="Checkpoints kept", help="Older ones are removed", unit="checkpoints", ge=1, le=1000)


class DeviceKnobs(Part):
    """Where it runs."""

    gpus: tuple[int, ...] = knob((), label="GPUs", help="CUDA indices; empty takes the first free one, or the CPU")
    threads: int = knob(
        0, label="CPU threads", help="Threads of each process; 0 takes every core", unit="threads", ge=0, le=1024
    )


class RunSpec(Part):
    """One training run, complete: the only input of the training program."""

    kind: Literal["sft"] = "sft"
    name: str = knob("", label="Run name", help="Shown in lists; may be changed later", advanced=False, max_length=120)
    recipe: str = ""
    data: DataKnobs = DataKnobs()
    model: ModelKnobs = ModelKnobs()
    strategy: StrategyKnobs = StrategyKnobs()
    optimiser: OptimiserKnobs = OptimiserKnobs()
    batching: BatchingKnobs = BatchingKnobs()
    saving: SavingKnobs = SavingKnobs()
    devices: DeviceKnobs = DeviceKnobs()

    @model_validator(mode="after")
    def _no_dataset_twice(self) -> Self:
        names = [share.name for share in self.data.datasets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"`data.datasets` names {', '.join(f'`{name}`' for name in twice)} twice; give one weight")
        return self

    @property
    def table(self) -> Strategy:
        """The strategy's row of the module table."""
        return STRATEGIES[self.strategy.name]

    @property
    def samples_per_step(self) -> int:
        """Samples that one optimizer step sees over all processes."""
        return self.batching.batch_size * self.batching.accumulation_steps * max(1, len(self.devices.gpus))

    def with_values(self, changes: dict[str, Any]) -> Self:
        """Return a copy with `changes` (dotted path -> value) applied and everything checked again."""
        content = self.model_dump()
        for path, value in changes.items():
            *parents, last = path.split(".")
            target = content
            for parent in parents:
                target = target[parent]
            target[last] = value
        return type(self).model_validate(content)
