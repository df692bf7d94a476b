"""How long a run is: samples of one pass, and optimizer steps; the page plans by this and the trainer obeys it."""

import math

from backend.spec.run import RunSpec


def samples_in_pass(rows: int, weight: float) -> int:
    """How many samples a dataset gives to one pass: its rows times its weight, at least one where it has any."""
    return max(1, round(rows * weight)) if rows else 0


def optimizer_steps(spec: RunSpec, samples: int) -> int:
    """Optimizer steps of a run whose passes have `samples` samples: by epochs, but no more than the step limit."""
    by_epochs = math.ceil(spec.optimiser.epochs * math.ceil(samples / spec.samples_per_step))
    return min(by_epochs, spec.optimiser.max_steps or by_epochs)
