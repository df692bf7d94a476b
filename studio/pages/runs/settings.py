"""The settings a run was started with, as a table for people: from its own spec, whatever the form shows now."""

import json
from typing import Any, Literal, get_origin

from backend.recipes.library import load_recipe, with_effort
from backend.recipes.preview import command_of_run, effort_of, in_lines, recipe_of, value_at
from backend.spec.files import KNOBS
from backend.spec.grpo import RewardShare
from backend.spec.run import RunSpec
from backend.spec.training import DatasetShare
from studio.ui.form import WEIGHTED
from studio.ui.i18n import Translate

_OWN = frozenset({"name"}) | WEIGHTED  # every run has its own; a recipe says nothing about them


def settings_of(spec: RunSpec, t: Translate) -> dict[str, Any]:
    """The knobs that mattered to a run, whether each differs from the recipe, and the command to repeat it."""
    own = _OWN if spec.kind in ("sft", "grpo") else KNOBS  # dry runs and evaluations follow no recipe
    base = with_effort(load_recipe(recipe_of(spec)).spec, effort_of(spec))
    rows = [
        {
            "label": t(f"knob.{path}.label"),
            "value": _shown(path, value_at(spec, path), t),
            "is_changed": path not in own and value_at(spec, path) != value_at(base, path),
        }
        for path in KNOBS
        if path != "name" and KNOBS[path].is_read(spec.table, spec.kind)
    ]
    return {"rows": rows, "command": in_lines(command_of_run(spec))}


def _shown(path: str, value: Any, t: Translate) -> str:
    unit = KNOBS[path].unit
    if path in WEIGHTED:
        return ", ".join(map(_share, value))
    if path == "strategy.name":
        return t(f"strategy.{value}.title")
    if value is None or value in ((), {}):
        return t("form.automatic")
    if isinstance(value, bool):
        return t("run.yes" if value else "run.no")
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if get_origin(KNOBS[path].field.annotation) is Literal:
        return t(f"choice.{path}.{value}")
    if isinstance(value, str | dict):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return f"{text} {t(f'unit.{unit}')}" if unit else text


def _share(share: DatasetShare | RewardShare) -> str:
    version = f" @{share.sha256[:8]}" if share.sha256 else ""
    return f"{share.name}{version}" + (f" × {share.weight:g}" if share.weight != 1 else "")
