"""How a knob is declared, once: its label, help, unit and limits beside its default, and which runs read it."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from backend.spec.strategies import PartName, Strategy

# answers shown, answers paid for, only a look at what is paid, or answers measured
RunKind = Literal["sft", "grpo", "reward_check", "evaluation"]
Needs = Literal["adapters"] | PartName  # what must be trained for a knob to mean anything

EVERY_KIND: tuple[RunKind, ...] = get_args(RunKind)
TRAINING: tuple[RunKind, ...] = ("sft", "grpo")


class SpecModel(BaseModel):
    """A part of a spec. Frozen: a run's spec never changes after it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    read_by: ClassVar[tuple[RunKind, ...]] = TRAINING  # whoever reads its knobs, where a knob says nothing else


class Knob(NamedTuple):
    """One knob as the form, the table and the catalogues see it."""

    path: str  # "batching.batch_size"
    label: str
    help: str
    unit: str
    advanced: bool
    read_by: tuple[RunKind, ...]
    needs: Needs | None
    field: FieldInfo

    def is_read(self, strategy: Strategy, kind: RunKind = "sft") -> bool:
        """Whether such a run reads it: without adapters theirs mean nothing, nor does a frozen part's rate."""
        if kind not in self.read_by:
            return False
        if self.needs == "adapters":
            return strategy.uses_lora
        return self.needs is None or strategy.how(self.needs) != "frozen"


def knob(  # noqa: PLR0913 - facts of a knob, each by its name
    default: Any,
    *,
    label: str,
    help: str,  # noqa: A002
    unit: str = "",
    advanced: bool = True,
    read_by: tuple[RunKind, ...] | None = None,
    needs: Needs | None = None,
    **limits: Any,
) -> Any:
    """Declare a field with what a person needs to see.

    Args:
        default: its value where nobody sets it.
        label: its name for people.
        help: what it does, in a sentence.
        unit: of a number.
        advanced: whether the form shows it in the fold.
        read_by: the kinds of run that read it; without, those of its model.
        needs: adapters, or the part of the model that must be trained for it to be read.
        limits: pydantic's (ge, le, gt, lt, multiple_of, max_length).
    """
    extra: dict[str, Any] = {"unit": unit, "advanced": advanced, "read_by": read_by, "needs": needs}
    return Field(default, title=label, description=help, json_schema_extra=extra, **limits)


def knobs_of(model: type[SpecModel], prefix: str = "") -> Iterator[Knob]:
    """Yield every knob of `model` and of its parts, in the order they are declared."""
    for name, field in model.model_fields.items():
        nested, facts = field.annotation, field.json_schema_extra
        if isinstance(nested, type) and issubclass(nested, SpecModel):
            yield from knobs_of(nested, f"{prefix}{name}.")
        elif isinstance(facts, dict):
            declared: dict[str, Any] = {**facts, "read_by": facts["read_by"] or model.read_by}
            yield Knob(f"{prefix}{name}", field.title or name, field.description or "", field=field, **declared)
