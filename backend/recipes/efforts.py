"""Quick, balanced, best: how long a run learns, in words a person chooses by."""

from typing import Literal, get_args

from pydantic import ValidationError

from backend.errors import SpecError
from backend.spec.run import RunSpec

Effort = Literal["quick", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
_PASSES: dict[Effort, float] = {"quick": 1 / 3, "balanced": 1.0, "best": 2.0}


def with_effort(spec: RunSpec, effort: Effort) -> RunSpec:
    """Scale the recipe's passes over the data: a third, as they are, or twice.

    Raises:
        SpecError: nobody may ask for so many.
    """
    if _PASSES[effort] == 1:
        return spec
    epochs = float(f"{spec.optimiser.epochs * _PASSES[effort]:.3g}")
    try:
        return spec.with_values({"optimiser.epochs": epochs})
    except ValidationError as error:
        hint = "Choose another effort, or fewer `optimiser.epochs`"
        raise SpecError(f"`{effort}` would make {epochs:g} passes over the data", hint=hint) from error
