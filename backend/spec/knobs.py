"""How a knob is declared: its label, help, unit and limits beside its default, once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo


class Part(BaseModel):
    """A group of knobs. Frozen: a run's spec never changes after it is written."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Knob(NamedTuple):
    """One knob as the form, the table and the catalogues see it."""

    path: str  # "batching.batch_size"
    label: str
    help: str
    unit: str
    advanced: bool
    field: FieldInfo


def knob(default: Any, *, label: str, help: str, unit: str = "", advanced: bool = True, **limits: Any) -> Any:  # noqa: A002
    """Declare a field with what a person needs to see; `limits` are pydantic's (ge, le, gt, lt, multiple_of)."""
    extra: dict[str, Any] = {"unit": unit, "advanced": advanced}
    return Field(default, title=label, description=help, json_schema_extra=extra, **limits)


def knobs_of(model: type[BaseModel], prefix: str = "") -> Iterator[Knob]:
    """Yield every knob of `model` and of its parts, in the order they are declared."""
    for name, field in model.model_fields.items():
        nested = field.annotation
        if isinstance(nested, type) and issubclass(nested, Part):
            yield from knobs_of(nested, f"{prefix}{name}.")
        elif isinstance(field.json_schema_extra, dict):
            extra = field.json_schema_extra
            yield Knob(
                f"{prefix}{name}",
                field.title or name,
                field.description or "",
                str(extra.get("unit", "")),
                bool(extra.get("advanced", True)),
                field,
            )
