"""Draw a spec's knobs as components and read them back: a knob is spelled only in `backend/spec/`."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

import annotated_types
import gradio as gr
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from backend.errors import SpecError
from backend.recipes.preview import value_at
from backend.spec.files import KNOBS
from backend.spec.knobs import TRAINING, Knob
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES, Strategy
from studio.ui.i18n import Translate

ADVANCED = tuple(path for path, knob in KNOBS.items() if knob.advanced and set(knob.read_by) & set(TRAINING))
WEIGHTED = frozenset({"data.datasets", "grpo.rewards"})  # chosen from a list, each with a weight
_EMPTY = frozenset({"int_type", "float_type", "missing"})
_NOT_A_NUMBER = frozenset({"int_parsing", "float_parsing"})


class KnobProblem(NamedTuple):
    """One reason why the form's values make no spec."""

    path: str  # of the knob; empty where two knobs clash
    message: str  # to stand beside its field
    sentence: str  # with the field's label, to stand alone


class FormReading(NamedTuple):
    """A spec, or every reason why the form's values make none."""

    spec: RunSpec | None
    problems: tuple[KnobProblem, ...]

    def spec_or_raise(self, t: Translate) -> RunSpec:
        """Return the spec. Raises SpecError with all problems at once."""
        if self.spec is None:
            raise SpecError("; ".join(problem.sentence for problem in self.problems), hint=t("form.mend"))
        return self.spec


@dataclass(frozen=True, slots=True)
class Form:
    """Components by the path of their knob, in the order their values are handed to handlers."""

    components: dict[str, Any]
    t: Translate

    @property
    def inputs(self) -> list[Any]:
        """What to pass as `inputs` of an event that calls `read` or `check`."""
        return list(self.components.values())

    def read(self, base: RunSpec, values: Sequence[Any]) -> FormReading:
        """Lay the values of `inputs` over `base`; knobs that such a run does not read keep the base's."""
        changes = {path: from_component(KNOBS[path], raw) for path, raw in zip(self.components, values, strict=True)}
        try:
            strategy = _strategy_of(base, changes)
            changes = {path: value for path, value in changes.items() if KNOBS[path].is_read(strategy, base.kind)}
            return FormReading(base.with_values(changes), ())
        except ValidationError as error:
            return FormReading(None, tuple(_problems_in(error, self.t)))

    def check(self, base: RunSpec, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Say for each input whether it is acceptable, for `validator=` of an event."""
        messages = {problem.path: problem.message for problem in self.read(base, values).problems}
        return [gr.validate(path not in messages, messages.get(path, "")) for path in self.components]


def advanced_values(spec: RunSpec) -> list[Any]:
    """What the components of the `ADVANCED` knobs show for `spec`."""
    return [to_component(KNOBS[path], value_at(spec, path)) for path in ADVANCED]


def changed_knobs(base: RunSpec, spec: RunSpec) -> list[str]:
    """The advanced knobs in which `spec` differs from `base`, in the order they are declared."""
    return [path for path in ADVANCED if value_at(base, path) != value_at(spec, path)]


def draw(path: str, base: RunSpec, t: Translate, **options: Any) -> Any:
    """Create the component of one knob inside the current gradio layout, showing its value in `base`."""
    knob = KNOBS[path]
    kind, is_optional = _type_of(knob)
    label, unit = t(f"knob.{path}.label"), t(f"unit.{knob.unit}") if knob.unit else ""
    options = {
        "label": label if unit.lower() in label.lower() else t("form.with_unit", label=label, unit=unit),
        "info": t(f"knob.{path}.help"),
        "value": to_component(knob, value_at(base, path)),
        "elem_id": "knob-" + path.replace(".", "-"),
        **options,
    }
    if get_origin(kind) is Literal:
        return gr.Dropdown([(t(f"choice.{path}.{choice}"), choice) for choice in get_args(kind)], **options)
    if kind is bool:
        return gr.Checkbox(**options)
    if get_origin(kind) is dict:
        return gr.Textbox(lines=3, max_lines=12, **options)
    if kind in (int, float) and not is_optional:
        return gr.Number(step=_step(knob), **options)
    return gr.Textbox(max_lines=1, placeholder=t("form.automatic") if is_optional else None, **options)


def to_component(knob: Knob, value: Any) -> Any:
    """Turn a knob's value into what its component shows."""
    if knob.path in WEIGHTED:
        return [{"name": share.name, "weight": share.weight, "chosen": True} for share in value]
    if _type_of(knob)[1]:  # a number that may be left out: Gradio's number field would turn nothing into 0
        return "" if value is None else f"{value:g}"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=1) if value else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


def from_component(knob: Knob, raw: Any) -> Any:
    """Turn a component's value into the knob's; nonsense is passed on, for the spec to refuse."""
    if knob.path in WEIGHTED:
        return _chosen_shares(raw)
    kind, is_optional = _type_of(knob)
    if is_optional:
        return (raw.strip() or None) if isinstance(raw, str) else raw
    if get_origin(kind) is tuple:
        return [part for part in re.split(r"[\s,，、]+", str(raw or "")) if part]
    if get_origin(kind) is dict:
        return _json_object(raw)
    return (raw or "").strip() if kind is str and isinstance(raw, str | None) else raw


def _strategy_of(base: RunSpec, changes: dict[str, Any]) -> Strategy:
    """The strategy that the form means; it decides which knobs are read. Raises ValidationError for an unknown one."""
    name = base.with_values({"strategy.name": changes.get("strategy.name", base.strategy.name)}).strategy.name
    is_adapted = changes.get("strategy.lora_vision", base.strategy.lora_vision)
    return STRATEGIES[name].with_vision_adapters() if is_adapted else STRATEGIES[name]


def _json_object(raw: Any) -> Any:
    """Read the text of a JSON object, nothing as an empty one; anything else is passed on to be refused."""
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw) if raw.strip() else {}
    except ValueError:
        return raw


def _chosen_shares(raw: Any) -> Any:
    """The chosen rows of a picker, each with its weight; anything else is passed on to be refused."""
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        return raw
    return [{"name": row.get("name"), "weight": row.get("weight")} for row in raw if row.get("chosen")]


def _problems_in(error: ValidationError, t: Translate) -> Iterable[KnobProblem]:
    """Each problem of a refused spec, with the label that the person sees."""
    for problem in error.errors():
        path = _knob_at(problem["loc"])
        if path is None:
            clash = problem["msg"].removeprefix("Value error, ")
            yield KnobProblem("", clash, clash)
        else:
            message = _message(problem, t)
            yield KnobProblem(path, message, t("problem.of", label=t(f"knob.{path}.label"), said=message))


def _message(problem: ErrorDetails, t: Translate) -> str:
    context = problem.get("ctx", {})
    match problem["type"]:
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal" as kind:
            return t(f"problem.{kind}", limit=f"{next(iter(context.values())):,g}")
        case "string_too_long":
            return t("problem.string_too_long", limit=context["max_length"])
        case "dict_type":
            return t("problem.not_json")
        case "int_from_float":
            return t("problem.int_from_float")
        case kind if kind in _EMPTY and problem["input"] is None:
            return t("problem.empty")
        case kind if kind in _EMPTY | _NOT_A_NUMBER:
            return t("problem.not_a_number", value=str(problem["input"])[:40])
    return problem["msg"]


def _knob_at(location: tuple[int | str, ...]) -> str | None:
    """The knob that a problem lies in: the longest beginning of its location that names one."""
    for end in range(len(location), 0, -1):
        path = ".".join(map(str, location[:end]))
        if path in KNOBS:
            return path
    return None


def _type_of(knob: Knob) -> tuple[Any, bool]:
    """A knob's type without `None`, and whether it may be left empty."""
    annotation = knob.field.annotation
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], True
    return annotation, False


def _step(knob: Knob) -> float:
    """How far an arrow key moves a number."""
    if _type_of(knob)[0] is int:
        return 1
    limits = [limit.le for limit in knob.field.metadata if isinstance(limit, annotated_types.Le)]
    return 0.5 if limits and float(limits[0]) > 1 else 0.01  # type: ignore[arg-type]
