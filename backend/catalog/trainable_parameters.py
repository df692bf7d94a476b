"""What a run will train, before it starts: parts, ways, parameter counts and rates, from the module table."""

from typing import NamedTuple

from backend.catalog.checkpoints import resolve_checkpoint
from backend.catalog.model_config import Counts, count_adapters, count_parameters
from backend.catalog.model_folder import read_config
from backend.catalog.models import rates_for
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.spec.strategies import PARTS, STRATEGIES, How, PartName, Strategy, StrategyName

BYTES_TRAINED = 16  # bf16 weight and gradient, fp32 master weight and two Adam moments
BYTES_FROZEN = 2  # bf16
BYTES_FROZEN_4BIT = 0.56  # NF4 with double quantisation
ALLOWANCE = 1.25  # activations and buffers, at the default batch and image sizes


class TrainedPart(NamedTuple):
    """One row of the panel."""

    part: PartName
    how: How
    total: int  # parameters of the part as released
    trained: int  # parameters that get a gradient (for LoRA: the adapters')
    rate: float | None  # None where the part is frozen


def trained_table(spec: RunSpec, workspace: Workspace) -> list[TrainedPart]:
    """Say how each part of the chosen model is trained. Raises NotFoundError or CheckpointError for the model."""
    config = read_config(resolve_checkpoint(spec.model.base, workspace).base_folder)
    counts = count_parameters(config)
    rows = []
    for part in PARTS:
        how = spec.table.how(part)
        adapters = count_adapters(config, part, spec.strategy.lora_rank, dora=spec.strategy.dora)
        trained = {"frozen": 0, "full": counts[part], "lora": adapters}[how]
        rows.append(TrainedPart(part, how, counts[part], trained, rate_of(spec, part)))
    return [row for row in rows if row.total]


def rate_of(spec: RunSpec, part: PartName) -> float | None:
    """The peak rate of a part: the spec's own, else the model's suggestion; None where it is frozen."""
    how = spec.table.how(part)
    if how == "frozen":
        return None
    set_rates = {"vision": spec.optimiser.vision_rate, "merger": spec.optimiser.merger_rate}
    chosen = set_rates.get(part, spec.optimiser.language_rate)
    if chosen is not None:
        return chosen
    rates = rates_for(spec.model.base)
    return rates.suggested(part, how) * (1.0 if spec.kind == "sft" else rates.rewarded)


def estimated_memory_bytes(rows: list[TrainedPart], *, quantised: bool) -> int:
    """Estimate the GPU memory of a run. An estimate, not a measurement: images and batch move it."""
    frozen = BYTES_FROZEN_4BIT if quantised else BYTES_FROZEN
    weights = 0.0
    for row in rows:
        if row.how == "full":
            weights += row.total * BYTES_TRAINED
        else:
            weights += row.total * (frozen if row.part == "language" else BYTES_FROZEN) + row.trained * BYTES_TRAINED
    return int(weights * ALLOWANCE)


def memory_by_strategy(counts: Counts) -> dict[StrategyName, int]:
    """Estimated bytes of GPU memory of each strategy, adapters taken as one per cent of the language model."""
    return {
        name: estimated_memory_bytes(_rows(strategy, counts), quantised=strategy.quantised)
        for name, strategy in STRATEGIES.items()
    }


def _rows(strategy: Strategy, counts: Counts) -> list[TrainedPart]:
    ways: list[tuple[PartName, How]] = [(part, strategy.how(part)) for part in PARTS]
    trained = {"frozen": 0.0, "lora": 0.01, "full": 1.0}
    return [TrainedPart(part, how, counts[part], int(counts[part] * trained[how]), None) for part, how in ways]
