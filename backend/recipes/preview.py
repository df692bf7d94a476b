"""What a run would do before it starts: its command in a terminal, its steps, and how its rows fit."""

import json
import shlex
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from backend.catalog.checkpoints import resolve_checkpoint
from backend.datasets.store import DatasetStore
from backend.recipes.library import EFFORTS, Effort, load_recipe, recipe_for, recipe_names, with_effort
from backend.rewards.contract import named_version
from backend.row_length import RowMeter, RowSize, fit
from backend.settings import Workspace
from backend.spec.evaluation import ComparisonKnobs
from backend.spec.files import KNOBS
from backend.spec.grpo import GrpoKnobs, RewardShare
from backend.spec.run import RunSpec
from backend.spec.steps import optimizer_steps, samples_per_epoch, samples_per_step
from backend.spec.training import DatasetShare

OPTIONS = frozenset({"name", "data.datasets", "model.base", "grpo.rewards"})  # knobs with an option of their own
NORMAL_EFFORT: Effort = "balanced"  # what the command line takes when none is named
MEASURED = 4_000  # rows of a dataset; of a larger one every k-th is measured, and the rest is taken to be like it


class StepPlan(NamedTuple):
    """How long a run is, in numbers to show."""

    samples: int  # in one pass, each dataset's training rows times its weight
    passes: float
    samples_per_step: int
    steps: int
    is_fixed: bool  # cut short by the step limit


def studio_command(spec: RunSpec, recipe: str, effort: Effort) -> str:
    """Write the command that starts `spec`, quoted for a shell, with a `--set` only where it differs from the recipe.

    Raises:
        NotFoundError: no recipe has that name.
    """
    return shlex.join(command_words(spec, recipe, effort))


def command_words(spec: RunSpec, recipe: str, effort: Effort) -> list[str]:
    """The words of `studio_command`, before quoting."""
    base = with_effort(load_recipe(recipe).spec, effort)
    words = ["studio", "train", recipe]
    if effort != NORMAL_EFFORT:
        words += ["--effort", effort]
    for reward in spec.grpo.rewards if spec.kind == "grpo" else ():
        words += ["--reward", _weighted(reward)]
    for dataset in spec.data.datasets:
        words += ["--dataset", _weighted(dataset)]
    if spec.model.base != base.model.base:
        words += ["--model", spec.model.base]
    if spec.name:
        words += ["--name", spec.name]
    for path in KNOBS:
        if path not in OPTIONS and value_at(spec, path) != value_at(base, path):
            words += ["--set", f"{path}={_as_text(value_at(spec, path))}"]
    return words


def command_of_run(spec: RunSpec) -> list[str]:
    """The shortest command that starts a run like this one."""
    if spec.kind == "reward_check":
        return _check_words(spec)
    if spec.kind == "evaluation":
        return _eval_words(spec)
    return command_words(spec, recipe_of(spec), effort_of(spec))


def effort_of(spec: RunSpec) -> Effort:
    """The effort that explains a run's settings best; a run does not remember it."""
    recipe = recipe_of(spec)
    return min(
        EFFORTS, key=lambda effort: (command_words(spec, recipe, effort).count("--set"), effort != NORMAL_EFFORT)
    )


def in_lines(words: list[str]) -> str:
    """Quote a command for a shell with each option on a line of its own, so that it reads well and still pastes."""
    first = next((index for index, word in enumerate(words) if word.startswith("--")), len(words))
    lines = [shlex.join(words[:first])]
    lines += [shlex.join(words[index : index + 2]) for index in range(first, len(words), 2)]
    return " \\\n  ".join(lines)


def planned_steps(
    spec: RunSpec, train_rows: Mapping[str, int], mean_tokens: Mapping[str, float] | None = None
) -> StepPlan:
    """Count the optimizer steps of a run; rows that turn out too long to be learned make it shorter.

    Args:
        spec: what is to be run.
        train_rows: training rows by dataset name; a dataset that is not in it counts as empty.
        mean_tokens: of a sample of each dataset, where a token budget makes the passes.
    """
    shares = {
        share.name: samples_per_epoch(train_rows.get(share.name, 0), share.weight) for share in spec.data.datasets
    }
    samples, lengths = sum(shares.values()), mean_tokens or {}
    mean = sum(count * lengths.get(name, 0.0) for name, count in shares.items()) / max(1, samples)
    steps = optimizer_steps(spec, samples, mean)
    unlimited = optimizer_steps(spec.with_values({"optimiser.max_steps": 0}), samples, mean)
    return StepPlan(samples, spec.optimiser.epochs, round(samples_per_step(spec, mean)), steps, steps < unlimited)


def value_at(spec: RunSpec, path: str) -> Any:
    """The value of one knob."""
    value: Any = spec
    for step in path.split("."):
        value = getattr(value, step)
    return value


def recipe_of(spec: RunSpec) -> str:
    """The recipe a spec names, or its strategy's where that one no longer ships."""
    return spec.recipe if spec.recipe in recipe_names() else recipe_for(spec.kind, spec.strategy.name)


class DatasetFit(NamedTuple):
    """The training rows of one dataset as a run would see them."""

    name: str
    rows: int
    left_out: int
    shrunk: int
    longest_tokens: int
    mean_tokens: float  # of the rows that are learned from
    is_exact: bool  # every row was measured


def dataset_fits(spec: RunSpec, workspace: Workspace) -> list[DatasetFit]:
    """Measure the datasets of `spec` with its model's own tokenizer.

    Raises:
        StudioError: a dataset or the model is not there.
    """
    base = resolve_checkpoint(spec.model.base, workspace).base_folder
    store = DatasetStore(workspace)
    return [
        _dataset_fit(spec, share.name, store.get(share.name).statistics.train_rows, sizes)
        for share in spec.data.datasets
        for sizes in [_sizes(workspace, share.name, store.get(share.name).sha256, base)]
    ]


def _check_words(spec: RunSpec) -> list[str]:
    """The words of a dry run; its command knows no weights, as it looks at rewards one by one."""
    words, defaults = ["studio", "reward", "check", *(share.name for share in spec.grpo.rewards)], GrpoKnobs()
    for share in spec.data.datasets:
        words += ["--dataset", share.name]
    words += ["--checkpoint", spec.model.base]
    for option, count, default in (
        ("--limit", spec.grpo.check_rows, defaults.check_rows),
        ("--samples", spec.grpo.generations, defaults.generations),
    ):
        words += [option, str(count)] if count != default else []
    return words


def _eval_words(spec: RunSpec) -> list[str]:
    """The words of an evaluation."""
    comparison, defaults = spec.comparison, ComparisonKnobs()
    checkpoints = list(dict.fromkeys(contestant.checkpoint for contestant in comparison.contestants))
    words = ["studio", "eval", *checkpoints[:1]]
    if comparison.check != "forgetting":
        words += [word for share in spec.data.datasets for word in ("--dataset", share.name)]
    words += [word for other in checkpoints[1:] for word in ("--compare", other)]
    words += [word for metric in comparison.metrics for word in ("--metric", named_version(metric).name)]
    words += ["--check", comparison.check] if comparison.check != defaults.check else []
    words += ["--rows", comparison.split] if comparison.split != defaults.split else []
    words += ["--limit", str(comparison.limit)] if comparison.limit != defaults.limit else []
    for knob in ("batch_size", "max_new_tokens"):
        if getattr(comparison, knob) != getattr(defaults, knob):
            words += ["--set", f"comparison.{knob}={getattr(comparison, knob)}"]
    return words


def _weighted(share: DatasetShare | RewardShare) -> str:
    """NAME, or NAME:WEIGHT."""
    return share.name if share.weight == 1 else f"{share.name}:{_as_text(share.weight)}"


def _as_text(value: Any) -> str:
    """Write a value as `--set` reads it: plain where that reads back, else as JSON, which is YAML too."""
    if isinstance(value, tuple):
        return json.dumps(value)
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, str):
        return value if value and yaml.safe_load(value) == value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value)


def _dataset_fit(spec: RunSpec, name: str, rows: int, sizes: tuple[RowSize, ...]) -> DatasetFit:
    fits = [fit(size, spec.data, spec.model) for size in sizes]
    kept_tokens = [each.tokens for each in fits if each is not None]
    scale = rows / len(sizes) if sizes else 0.0
    return DatasetFit(
        name=name,
        rows=rows,
        left_out=round(scale * (len(sizes) - len(kept_tokens))),
        shrunk=round(scale * sum(each is not None and each.is_shrunk for each in fits)),
        longest_tokens=max((size.tokens(spec.model.min_pixels, spec.model.max_pixels) for size in sizes), default=0),
        mean_tokens=sum(kept_tokens) / len(kept_tokens) if kept_tokens else 0.0,
        is_exact=len(sizes) == rows,
    )


@lru_cache(maxsize=32)
def _sizes(workspace: Workspace, name: str, sha256: str, base: Path) -> tuple[RowSize, ...]:
    """Sizes of the training rows of one version of a dataset."""
    store, meter = DatasetStore(workspace), RowMeter(base)
    folder, rows = store.folder(name), store.get(name).statistics.train_rows
    stride = -(-rows // MEASURED) if rows else 1
    chosen = (row for number, row in enumerate(store.rows(name, "train", sha256)) if number % stride == 0)
    return tuple(meter.size(row, folder) for row in chosen)
