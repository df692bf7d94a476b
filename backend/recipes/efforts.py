"""Quick, balanced, best: how long a run learns, in words a person chooses by."""

from typing import Literal, get_args

from backend.spec.run import RunSpec

Effort = Literal["quick", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
_PASSES: dict[Effort, float] = {"quick": 1 / 3, "balanced": 1.0, "best": 2.0}


def with_effort(spec: RunSpec, effort: Effort) -> RunSpec:
    """Scale the recipe's passes over the data: a third, as they are, or twice."""
    return spec.with_values({"optimiser.epochs": round(spec.optimiser.epochs * _PASSES[effort], 2)})
