"""What pressing Start would do, as facts: parts and rates, steps, memory, the command, what is in the way."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from backend.catalog.checkpoints import model_folder
from backend.catalog.models import CATALOGUE
from backend.catalog.trainable_parameters import (
    TrainedPart,
    estimated_memory_bytes,
    memory_by_strategy,
    rate_of,
    trained_table,
)
from backend.errors import StudioError
from backend.ids import slug
from backend.recipes.library import Effort, recipe_for
from backend.recipes.preview import DatasetFit, command_words, dataset_fits, in_lines, planned_steps
from backend.recipes.resolve import resolve
from backend.settings import Workspace
from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from backend.spec.steps import prompts_per_generation, steps_per_generation
from backend.spec.strategies import PARTS
from studio.ui.components import island
from studio.ui.form import KnobProblem
from studio.ui.formatting import gigabytes, percent, short
from studio.ui.i18n import Translate

MAX_SUGGESTION = 60  # characters of a suggested name


class TrainPlan(NamedTuple):
    """The right column of the Train page. Texts are in the visitor's language; script draws them as text."""

    parts: list[dict[str, str]]  # part, way (frozen, full, lora), how in words, count, rate
    bar: str
    share: float  # of all parameters, 0 to 1
    generation: str  # prompts and completions of one generation, where it learns from rewards
    steps: str
    memory: str
    notes: list[str]  # what is worth knowing before it starts, e.g. rows that are too long
    command: str
    deepspeed: str  # the deepspeed.json that it makes
    problems: list[str]


def plan_of(
    spec: RunSpec, effort: Effort, train_rows: Mapping[str, int], workspace: Workspace, t: Translate
) -> dict[str, Any]:
    """Tell what `spec` would do; what stands in the way is among the problems, not raised."""
    try:
        rows = trained_table(spec, workspace)
    except StudioError:
        rows = []  # the model is not here: its parts can be named, its adapters not be counted
    try:
        fitted = dataset_fits(spec, workspace)
    except StudioError:
        fitted = []  # what is missing is among the problems
    total, trained = sum(row.total for row in rows), sum(row.trained for row in rows)
    words = command_words(spec, recipe_for(spec.kind, spec.strategy.name), effort)
    return TrainPlan(
        parts=_parts(spec, rows, t),
        bar=t("plan.bar", trained=short(trained), total=short(total), share=percent(trained, total)) if total else "",
        share=min(1.0, trained / total) if total else 0.0,
        generation=_generation(spec, t) if spec.kind == "grpo" else "",
        steps=_steps(spec, train_rows, fitted, t),
        memory=_memory(spec, rows, t),
        notes=_notes(spec, fitted, t),
        command=in_lines(words),
        deepspeed=json.dumps(deepspeed_config(spec), indent=1),
        problems=_problems(spec, workspace, t),
    )._asdict()


def plan_of_problems(problems: Sequence[KnobProblem]) -> dict[str, Any]:
    """The plan of a form that makes no spec: only what to mend."""
    return TrainPlan([], "", 0.0, "", "", "", [], "", "", [problem.sentence for problem in problems])._asdict()


def plan_panel(t: Translate) -> gr.HTML:
    """Show what pressing Start would do. Value: a plan as `plan_of` makes it."""
    keys = ("title", "part", "how", "trained", "rate", "command", "copy", "copied", "deepspeed", "problems")
    return island("planPanel", "train.js", {key: t(f"plan.{key}") for key in keys}, value={}, elem_id="plan")


def suggested_name(spec: RunSpec) -> str:
    """A name from what is learned and how: `receipts-lora`, `receipts-grpo-lora`."""
    names = [share.name for share in spec.data.datasets] + (["grpo"] if spec.kind == "grpo" else [])
    return slug("-".join([*names, spec.strategy.name.replace("_", "-")]), fallback="run")[:MAX_SUGGESTION]


def _parts(spec: RunSpec, rows: Sequence[TrainedPart], t: Translate) -> list[dict[str, str]]:
    counted = {row.part: row for row in rows}
    released = CATALOGUE[spec.model.base].parts if spec.model.base in CATALOGUE else {}
    totals = {part: row.total for part, row in counted.items()} or released
    listed = []
    for part in PARTS:
        how, rate, total = spec.table.how(part), rate_of(spec, part), totals.get(part, 0)
        if totals and not total:
            continue  # the head of a model that shares it with the embeddings
        way = "quantised" if how == "lora" and spec.table.quantised else how
        learns = {"frozen": "0", "full": short(total), "lora": short(counted[part].trained) if counted else "…"}[how]
        listed.append(
            {
                "part": t(f"part.{part}"),
                "way": how,
                "how": t(f"how.{way}"),
                "count": f"{learns} / {short(total)}" if total else "–",
                "rate": "–" if rate is None else f"{rate:.3g}",
            }
        )
    return listed


def _notes(spec: RunSpec, fitted: Sequence[DatasetFit], t: Translate) -> list[str]:
    """Rows that are too long, with what becomes of them."""
    notes = []
    for each in fitted:
        for key, count in (("left_out", each.left_out), ("shrunk", each.shrunk)):
            if count:
                about = f"{count:,}" if each.is_exact else t("plan.about", count=f"{count:,}")
                numbers = {"name": each.name, "count": about, "longest": f"{each.longest_tokens:,}"}
                notes.append(t(f"plan.{key}", limit=f"{spec.data.max_tokens:,}", **numbers))
    return notes


def _steps(spec: RunSpec, train_rows: Mapping[str, int], fitted: Sequence[DatasetFit], t: Translate) -> str:
    fitting_rows = {each.name: each.rows - each.left_out for each in fitted}
    steps = planned_steps(spec, dict(train_rows) | fitting_rows, {each.name: each.mean_tokens for each in fitted})
    if not steps.samples:
        return ""
    passes = t("plan.pass") if steps.passes == 1 else t("plan.passes", passes=f"{steps.passes:g}")
    in_step = prompts_per_generation(spec) if spec.kind == "grpo" else steps.samples_per_step
    numbers = {"samples": f"{steps.samples:,}", "passes": passes, "batch": f"{in_step:,}", "steps": f"{steps.steps:,}"}
    if spec.kind == "grpo":
        reuse = steps_per_generation(spec)
        numbers["often"] = t("plan.grpo.often", often=reuse) if reuse > 1 else ""
    return t(f"plan{'.grpo' if spec.kind == 'grpo' else ''}.steps{'.fixed' if steps.is_fixed else ''}", **numbers)


def _generation(spec: RunSpec, t: Translate) -> str:
    """How many answers a step learns from, and to how many questions."""
    knobs, reuse = spec.grpo, steps_per_generation(spec)
    numbers = {"questions": f"{prompts_per_generation(spec):,}", "each": knobs.generations}
    if reuse == 1:
        return t("plan.grpo.step", answers=f"{spec.samples_per_step:,}", **numbers)
    answers = spec.samples_per_step * knobs.reuse
    return t("plan.grpo.drawing", answers=f"{answers:,}", often=reuse, step=f"{spec.samples_per_step:,}", **numbers)


def _memory(spec: RunSpec, rows: list[TrainedPart], t: Translate) -> str:
    model = CATALOGUE.get(spec.model.base)
    if model is not None and not model.download_bytes:  # the demo needs no GPU
        return ""
    if rows:
        return t("plan.memory", size=gigabytes(estimated_memory_bytes(rows, quantised=spec.table.quantised)))
    return t("plan.memory", size=gigabytes(memory_by_strategy(model.parts)[spec.strategy.name])) if model else ""


def _problems(spec: RunSpec, workspace: Workspace, t: Translate) -> list[str]:
    missing = [] if spec.data.datasets else [t("problem.no_dataset")]
    missing += [t("problem.no_reward")] if spec.kind == "grpo" and not spec.grpo.rewards else []
    model = CATALOGUE.get(spec.model.base)
    if model is not None and model.download_bytes and model_folder(model.name, workspace) is None:
        model_facts = {"title": model.title, "size": gigabytes(model.download_bytes), "licence": model.licence}
        missing.append(f"{t('train.model.get', **model_facts)} `studio models get {model.name}`")
    if missing:
        return missing
    try:
        resolve(spec, workspace)
    except StudioError as error:
        return [error.message, error.hint]
    return []
