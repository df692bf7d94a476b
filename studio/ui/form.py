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
from backend.spec.knobs import Knob
from backend.spec.run import RunKind, RunSpec
from backend.spec.strategies import Strategy
from studio.ui.i18n import Translate

_OF_EVALUATIONS = "comparison."  # asked on the Evaluate page
ADVANCED = tuple(path for path, knob in KNOBS.items() if knob.advanced and not path.startswith(_OF_EVALUATIONS))
PICKED = frozenset({"data.datasets", "grpo.rewards"})  # chosen from a list, each with a weight
_OF_ADAPTERS = frozenset(path for path in KNOBS if path.startswith("strategy.") and path != "strategy.name")
_OF_ANSWERS = frozenset({"batching.max_tokens"})  # only a run that is shown answers reads these
_OF_DRY_RUNS = frozenset({"grpo.check_rows"})
_DRY_RUN_READS = _OF_DRY_RUNS | {
    "grpo.rewards", "grpo.generations", "grpo.temperature", "grpo.top_p", "grpo.top_k", "grpo.repetition_penalty",
    "grpo.max_completion_tokens", "grpo.reward_seconds", "grpo.reward_memory_gb", "devices.gpus", "devices.threads",
}  # fmt: skip
_EVALUATION_READS = frozenset({
    "data.datasets", "data.max_tokens", "data.too_long", "data.boxes", "data.seed", "devices.gpus", "devices.threads",
    "grpo.reward_seconds", "grpo.reward_memory_gb",
})  # fmt: skip
_EMPTY = frozenset({"int_type", "float_type", "missing"})
_NOT_A_NUMBER = frozenset({"int_parsing", "float_parsing"})


class Problem(NamedTuple):
    """One reason why the form's values make no spec."""

    path: str  # of the knob; empty where two knobs clash
    said: str  # in words, to stand beside its field
    sentence: str  # with the field's label, to stand alone


class Reading(NamedTuple):
    """What the form says: a spec, or every reason why it is none."""

    spec: RunSpec | None
    problems: tuple[Problem, ...]

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

    def read(self, base: RunSpec, values: Sequence[Any]) -> Reading:
        """Lay the values of `inputs` over `base`; knobs that such a run does not use keep the base's."""
        said = {path: from_component(KNOBS[path], raw) for path, raw in zip(self.components, values, strict=True)}
        try:
            table = self._table(base, said)
            said = {path: value for path, value in said.items() if is_used(path, table, base.kind)}
            return Reading(base.with_values(said), ())
        except ValidationError as error:
            return Reading(None, tuple(problems_in_words(error, self.t)))

    def _table(self, base: RunSpec, said: dict[str, Any]) -> Strategy:
        """The module table that the form means; it decides which of its knobs are read."""
        changes = {"strategy.name": said.get("strategy.name", base.strategy.name)}
        row = base.with_values(changes).table
        if row.uses_lora and row.vision == "frozen":
            changes["strategy.lora_vision"] = said.get("strategy.lora_vision", base.strategy.lora_vision)
        return base.with_values(changes).table

    def check(self, base: RunSpec, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Say for each input whether it is acceptable, for `validator=` of an event."""
        wrong = {problem.path: problem.said for problem in self.read(base, values).problems}
        return [gr.validate(path not in wrong, wrong.get(path, "")) for path in self.components]

    def shown(self, spec: RunSpec, paths: Iterable[str] = ADVANCED) -> list[Any]:
        """What the components of `paths` show for `spec`."""
        return [to_component(KNOBS[path], value_at(spec, path)) for path in paths]

    def changed(self, base: RunSpec, spec: RunSpec) -> list[str]:
        """The advanced knobs in which `spec` differs from `base`, in the order they are declared."""
        return [path for path in ADVANCED if value_at(base, path) != value_at(spec, path)]


def draw(path: str, base: RunSpec, t: Translate, **shown: Any) -> Any:
    """Create the component of one knob inside the current gradio layout, showing its value in `base`."""
    knob = KNOBS[path]
    kind, optional = _kind(knob)
    label, unit = t(f"knob.{path}.label"), t(f"unit.{knob.unit}") if knob.unit else ""
    look: dict[str, Any] = {
        "label": label if unit.lower() in label.lower() else t("form.with_unit", label=label, unit=unit),
        "info": t(f"knob.{path}.help"),
        "value": to_component(knob, value_at(base, path)),
        "elem_id": "knob-" + path.replace(".", "-"),
        **shown,
    }
    if get_origin(kind) is Literal:
        return gr.Dropdown([(t(f"choice.{path}.{choice}"), choice) for choice in get_args(kind)], **look)
    if kind is bool:
        return gr.Checkbox(**look)
    if get_origin(kind) is dict:
        return gr.Textbox(lines=3, max_lines=12, **look)
    if kind in (int, float) and not optional:
        return gr.Number(step=_step(knob), **look)
    return gr.Textbox(max_lines=1, placeholder=t("form.automatic") if optional else None, **look)


def is_used(path: str, table: Strategy, kind: RunKind = "sft") -> bool:
    """Whether such a run reads this knob: without adapters theirs mean nothing, nor does a frozen part's rate."""
    group = path.partition(".")[0]
    if kind == "evaluation":
        return path in _EVALUATION_READS or group in ("name", "comparison")
    if group == "comparison":
        return False
    if kind == "reward_check":
        return path in _DRY_RUN_READS or group in ("name", "data", "model")
    if path in _OF_DRY_RUNS or (group == "grpo" if kind == "sft" else path in _OF_ANSWERS):
        return False
    if path in _OF_ADAPTERS:
        return table.uses_lora
    part = {"optimiser.language_rate": "language", "optimiser.merger_rate": "merger", "optimiser.vision_rate": "vision"}
    return path not in part or table.how(part[path]) != "frozen"  # type: ignore[arg-type]


def to_component(knob: Knob, value: Any) -> Any:
    """Turn a knob's value into what its component shows."""
    if knob.path in PICKED:
        return [{"name": share.name, "weight": share.weight, "chosen": True} for share in value]
    if _kind(knob)[1]:  # a number that may be left out: Gradio's number field would turn nothing into 0
        return "" if value is None else f"{value:g}"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, indent=1) if value else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value


def from_component(knob: Knob, raw: Any) -> Any:
    """Turn what a component holds into the knob's value; nonsense is passed on, for the spec to refuse."""
    if knob.path in PICKED:
        return _shares(raw)
    kind, optional = _kind(knob)
    if optional:
        return (raw.strip() or None) if isinstance(raw, str) else raw
    if get_origin(kind) is tuple:
        return [part for part in re.split(r"[\s,，、]+", str(raw or "")) if part]
    if get_origin(kind) is dict:
        return _json_object(raw)
    return (raw or "").strip() if kind is str and isinstance(raw, str | None) else raw


def _json_object(raw: Any) -> Any:
    """Read the text of a JSON object, nothing as an empty one; anything else is passed on to be refused."""
    if not isinstance(raw, str):
        return raw
    try:
        return json.loads(raw) if raw.strip() else {}
    except ValueError:
        return raw


def problems_in_words(error: ValidationError, t: Translate) -> Iterable[Problem]:
    """Say each problem of a refused spec with the label that the person sees."""
    for problem in error.errors():
        path = _knob_at(problem["loc"])
        if path is None:
            clash = problem["msg"].removeprefix("Value error, ")
            yield Problem("", clash, clash)
        else:
            said = _said(problem, t)
            yield Problem(path, said, t("problem.of", label=t(f"knob.{path}.label"), said=said))


def _said(problem: ErrorDetails, t: Translate) -> str:
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
    """The knob that a problem lies in: the longest known beginning of its location."""
    for end in range(len(location), 0, -1):
        path = ".".join(map(str, location[:end]))
        if path in KNOBS:
            return path
    return None


def _kind(knob: Knob) -> tuple[Any, bool]:
    """A knob's type without `None`, and whether it may be left empty."""
    annotation = knob.field.annotation
    if get_origin(annotation) in (Union, UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], True
    return annotation, False


def _step(knob: Knob) -> float:
    """How far an arrow key moves a number."""
    if _kind(knob)[0] is int:
        return 1
    limits = [limit.le for limit in knob.field.metadata if isinstance(limit, annotated_types.Le)]
    return 0.5 if limits and float(limits[0]) > 1 else 0.01  # type: ignore[arg-type]


def _shares(raw: Any) -> Any:
    """The chosen rows of a picker, each with its weight; anything else is passed on to be refused."""
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        return raw
    return [{"name": row.get("name"), "weight": row.get("weight")} for row in raw if row.get("chosen")]
