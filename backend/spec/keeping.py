"""What is measured on the way, what stays on disk, and who else is told."""

from typing import Literal, get_args

from backend.spec.knobs import Part, knob

MetricName = Literal["exact_match", "similarity", "box_iou", "loss"]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)


class EvaluationKnobs(Part):
    """How the model is measured on held-out rows while it learns."""

    rows: int = knob(
        64, label="Rows evaluated", help="Held-out rows answered at the start, on the way and at the end; 0 is off",
        unit="rows", ge=0, le=100_000,
    )  # fmt: skip
    every_steps: int = knob(
        0, label="Evaluate every", help="Optimizer steps between evaluations; 0 is at the start and the end only",
        unit="steps", ge=0, le=10**7,
    )  # fmt: skip
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
        0, label="Early stopping", help="Stop after so many evaluations without a better one; 0 means never",
        unit="evaluations", ge=0, le=1000,
    )  # fmt: skip


class SavingKnobs(Part):
    """What stays on disk."""

    every_steps: int = knob(
        0, label="Checkpoint every", help="Optimizer steps between checkpoints; 0 means by time only",
        unit="steps", ge=0, le=10**7,
    )  # fmt: skip
    every_minutes: float = knob(
        10.0, label="Checkpoint at least every", help="So that a crash costs no more than this; 0 means never",
        unit="minutes", ge=0, le=10_000,
    )  # fmt: skip
    keep: int = knob(
        3, label="Checkpoints kept", help="Older ones are removed, never the best or the last", unit="checkpoints",
        ge=1, le=1000,
    )  # fmt: skip
    final: Literal["last", "best"] = knob(
        "last", label="Final model", help="The last step's weights, or those of the best evaluation"
    )


class ReportingKnobs(Part):
    """Who is told besides the local record, which is always kept."""

    wandb: Literal["off", "offline", "online"] = knob(
        "off",
        label="Weights & Biases",
        help="offline writes files to sync later; online takes the key of `wandb login`",
    )
    project: str = knob("vl-studio", label="W&B project", help="Where the run appears there", max_length=120)
