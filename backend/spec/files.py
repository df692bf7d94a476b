"""Read and write specs: YAML, JSON, `--set knob=value`; every problem at once, in words."""

import difflib
import reprlib
from collections.abc import Iterable, Mapping
from itertools import accumulate
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from backend.errors import SpecError
from backend.spec.knobs import knobs_of
from backend.spec.run import RunSpec

KNOBS = {knob.path: knob for knob in knobs_of(RunSpec)}
MOST_PROBLEMS = 20  # said at once; a file of ten thousand wrong lines is told its first ones
SHOWN_CHARACTERS = 80  # of a refused value or an unknown name
MAX_YAML_CHARACTERS = 100_000  # twenty times what all knobs take
MAX_YAML_DEPTH = 40  # brackets within brackets: PyYAML's time grows with the square of them
# What PyYAML raises beside its own error: for `2001-99-99`, `!!int x`, `!!timestamp x`, `!!bool x`, deep nesting.
_NOT_YAML = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError)
_repr = reprlib.Repr()
_repr.maxlevel, _repr.maxstring, _repr.maxother = 3, SHOWN_CHARACTERS, SHOWN_CHARACTERS


def spec_from(content: Any, *, source: str) -> RunSpec:
    """Build a spec from plain values.

    Raises:
        SpecError: every unknown knob and every refused value, each with its path.
    """
    try:
        return RunSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError(f"{source}: " + "; ".join(problems_of(error)), hint=_hint(error)) from error


def spec_from_yaml(text: str, *, source: str) -> RunSpec:
    """Read one YAML document. Raises SpecError for bad YAML and for bad values."""
    try:
        content = _loaded(text)
    except _NOT_YAML as error:
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise SpecError(f"`{source}` is not YAML: {why}", hint="Start from `studio recipes show lora`") from error
    return spec_from(content or {}, source=source)


def spec_to_yaml(spec: RunSpec) -> str:
    """Write what differs from the defaults, in the order of the knobs."""
    content = spec.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def read_spec(run_dir: Path) -> RunSpec:
    """Read the spec of a run folder. Raises SpecError, also where the file is missing or damaged."""
    path = run_dir / "spec.json"
    if not path.is_file():
        raise SpecError(f"`{run_dir.name}` has no spec.json", hint="Name a run folder that the studio made")
    try:
        return RunSpec.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SpecError(f"`{run_dir.name}/spec.json`: " + "; ".join(problems_of(error)), hint=_hint(error)) from error


def apply_settings(spec: RunSpec, settings: Iterable[str], others: Mapping[str, Any] | None = None) -> RunSpec:
    """Apply `knob=value` texts, as `--set` gives them.

    Args:
        spec: what is changed.
        settings: the texts.
        others: dotted path -> value, applied before them and checked together with them.

    Raises:
        SpecError: all unknown knobs (with the nearest known ones) and all refused values at once.
    """
    changes: dict[str, Any] = dict(others or {})
    problems: list[str] = []
    for setting in settings:
        path, sign, text = setting.partition("=")
        if not sign:
            problems.append(f"`{setting[:SHOWN_CHARACTERS]}` is not knob=value")
        elif path not in KNOBS:
            problems.append(f"`{path[:SHOWN_CHARACTERS]}` is not a knob{_nearest(path)}")
        else:
            changes[path] = _value(text)
    if problems:
        raise SpecError("; ".join(problems), hint="`studio recipes show lora` lists the knobs with their values")
    try:
        return spec.with_values(changes)
    except ValidationError as error:
        raise SpecError("; ".join(problems_of(error)), hint=_hint(error)) from error


def problems_of(error: ValidationError) -> list[str]:
    """Say each problem of a refused spec in words, with the knob's path and the refused value."""
    sentences, problems = [], error.errors(include_url=False)
    for problem in problems[:MOST_PROBLEMS]:
        path = ".".join(str(step)[:SHOWN_CHARACTERS] for step in problem["loc"])
        if problem["type"] == "extra_forbidden":
            sentences.append(f"`{path}` is not a knob{_nearest(path)}")
        elif not path or problem["type"] == "value_error":
            sentences.append(problem["msg"].removeprefix("Value error, "))
        else:
            message = problem["msg"][:1].lower() + problem["msg"][1:]
            sentences.append(f"`{path}` is `{_in_words(problem['input'])}`: {message}")
    return [*sentences, f"and {len(problems) - MOST_PROBLEMS} more"] if len(problems) > MOST_PROBLEMS else sentences


def _in_words(value: Any) -> str:
    """A refused value, cut where it is long: YAML's anchors make one that fills the memory once it is written out."""
    if isinstance(value, str):
        return value[:SHOWN_CHARACTERS]
    return str(value) if value is None or isinstance(value, bool | float) else _repr.repr(value)


def _nearest(path: str) -> str:
    path = path[:SHOWN_CHARACTERS]
    close = difflib.get_close_matches(path, KNOBS, n=1, cutoff=0.5) or [
        knob for knob in KNOBS if knob.split(".")[-1] == path.split(".")[-1]
    ]
    return f"; did you mean `{close[0]}`?" if close else ""


def _value(text: str) -> Any:
    """Read a value as YAML 1.2 would: `1e-4` is a number, although YAML 1.1 calls it text."""
    try:
        return float(text) if "e" in text.lower() else _loaded(text)
    except _NOT_YAML:
        try:
            return _loaded(text)
        except _NOT_YAML:
            return text


def _loaded(text: str) -> Any:
    """What a YAML text says. Raises one of `_NOT_YAML`, also for a text that would take minutes to find out."""
    if len(text) > MAX_YAML_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters, and {MAX_YAML_CHARACTERS:,} are the most")
    steps = {"[": 1, "{": 1, "]": -1, "}": -1}
    if any(depth > MAX_YAML_DEPTH for depth in accumulate(steps.get(character, 0) for character in text)):
        raise ValueError(f"it has more than {MAX_YAML_DEPTH} brackets within one another")
    if "- " * MAX_YAML_DEPTH in text:
        raise ValueError(f"it has more than {MAX_YAML_DEPTH} lists within one another")
    return yaml.safe_load(text)


def _hint(error: ValidationError) -> str:
    has_unknown = any(problem["type"] == "extra_forbidden" for problem in error.errors())
    return "`studio recipes show lora` lists the knobs" if has_unknown else "Change the settings named above"
