"""Every knob of a run, named once: the form, the saved file, the command line and the README's table read this."""

from typing import Any, Self

from pydantic import model_validator

from backend.spec.conflicts import conflicts_in
from backend.spec.evaluation import ComparisonKnobs
from backend.spec.grpo import GrpoKnobs
from backend.spec.knobs import EVERY_KIND, RunKind, SpecModel, knob
from backend.spec.strategies import STRATEGIES, Strategy
from backend.spec.training import (
    BatchingKnobs,
    DataKnobs,
    DeviceKnobs,
    EvaluationKnobs,
    ModelKnobs,
    OptimiserKnobs,
    ReportingKnobs,
    SavingKnobs,
    StrategyKnobs,
)


class RunSpec(SpecModel):
    """One run, complete: the only input of the training program."""

    kind: RunKind = "sft"
    name: str = knob(
        "",
        label="Run name",
        help="Shown in lists; may be changed later",
        advanced=False,
        read_by=EVERY_KIND,
        max_length=120,
    )
    recipe: str = ""
    resumed_from: str = ""  # run-id/checkpoint-N: goes on from there, with its optimizer
    data: DataKnobs = DataKnobs()
    model: ModelKnobs = ModelKnobs()
    strategy: StrategyKnobs = StrategyKnobs()
    optimiser: OptimiserKnobs = OptimiserKnobs()
    batching: BatchingKnobs = BatchingKnobs()
    grpo: GrpoKnobs = GrpoKnobs()
    evaluation: EvaluationKnobs = EvaluationKnobs()
    comparison: ComparisonKnobs = ComparisonKnobs()
    saving: SavingKnobs = SavingKnobs()
    reporting: ReportingKnobs = ReportingKnobs()
    devices: DeviceKnobs = DeviceKnobs()

    @model_validator(mode="after")
    def _refuse_conflicts(self) -> Self:
        conflicts = conflicts_in(self)
        if conflicts:
            raise ValueError("; ".join(conflicts))
        return self

    @property
    def table(self) -> Strategy:
        """The strategy's row of the module table, with adapters on the vision tower where they are asked for."""
        row = STRATEGIES[self.strategy.name]
        return row.with_vision_adapters() if self.strategy.lora_vision else row

    @property
    def processes(self) -> int:
        """Processes that train together: one a GPU, or as many as asked for on a CPU."""
        return len(self.devices.gpus) or self.devices.processes

    @property
    def samples_per_step(self) -> int:
        """Samples that one optimizer step sees over all processes, where passes go by batch size."""
        return self.batching.batch_size * self.batching.accumulation_steps * self.processes

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
