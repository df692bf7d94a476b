"""`studio recipes` and `studio train`, with `--plan`: what a run would train before it starts."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.catalog.trainable_parameters import trained_table
from backend.demo.datasets import DEMO_DATASETS, prepare_demo_datasets
from backend.errors import SpecError
from backend.recipes.library import EFFORTS, load_recipe, recipe_names, recipe_text, with_effort
from backend.recipes.preview import dataset_fits, planned_steps
from backend.recipes.resolve import resolve
from backend.spec.deepspeed import deepspeed_config
from backend.spec.files import apply_settings, spec_from_yaml
from backend.spec.grpo import RewardShare
from backend.spec.run import RunSpec
from backend.spec.steps import samples_per_epoch
from backend.spec.training import DatasetShare
from studio.cli import context
from studio.cli.follow import follow
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say, warn
from studio.cli.reward_dry_run import dry_run

DATASET = Annotated[list[str] | None, typer.Option("--dataset", help="NAME or NAME:WEIGHT; may be repeated.")]
REWARD = Annotated[
    list[str] | None, typer.Option("--reward", help="For recipe grpo: NAME or NAME:WEIGHT; may be repeated.")
]
SET = Annotated[list[str] | None, typer.Option("--set", help="knob=value; may be repeated.")]


def show_plan(spec: RunSpec, *, as_json: bool) -> None:
    """Print the plan of a resolved spec. Raises StudioError where the model or a dataset is not there."""
    plan = plan_of(spec)
    if as_json:
        print_json(plan)
        return
    rows = [
        (row["part"], row["how"], f"{row['trained']:,}", f"{row['total']:,}", row["rate"] or "")
        for row in plan["parts"]
    ]
    print_table(("part", "how", "learning", "of", "rate"), rows, empty="")
    for dataset in plan["datasets"]:
        name, samples, tokens = dataset["name"], dataset["samples_in_pass"], dataset["mean_tokens"]
        say(f"{name}: {samples:,} samples a pass, {tokens:.0f} tokens each")
        for text in _too_long(dataset):
            warn(text)
    say(f"about {plan['steps']:,} optimizer steps; deepspeed.json: {json.dumps(plan['deepspeed'])}")


def plan_of(spec: RunSpec) -> dict[str, Any]:
    """The plan as `--json` prints it."""
    fitted = {each.name: each for each in dataset_fits(spec, context.workspace())}
    rows = {name: each.rows - each.left_out for name, each in fitted.items()}
    mean_tokens = {name: each.mean_tokens for name, each in fitted.items()}
    return {
        "parts": [row._asdict() for row in trained_table(spec, context.workspace())],
        "datasets": [
            fitted[share.name]._asdict() | {"samples_in_pass": samples_per_epoch(rows[share.name], share.weight)}
            for share in spec.data.datasets
        ],
        "steps": planned_steps(spec, rows, mean_tokens).steps,
        "deepspeed": deepspeed_config(spec),
        "spec": spec.model_dump(mode="json"),
    }


@explained
def recipes(
    action: Annotated[str, typer.Argument(help="`list` or `show`")] = "list",
    name: Annotated[str, typer.Argument(help="for `show`: which recipe")] = "",
    as_json: JSON_OPTION = False,
) -> None:
    """List the recipes, or show one as YAML."""
    if action not in ("list", "show"):
        raise SpecError(f"`{action}` is neither `list` nor `show`", hint="`studio recipes show lora`")
    if action == "show":
        recipe = load_recipe(name)
        print_json(recipe.spec.model_dump(mode="json")) if as_json else say(recipe_text(name).rstrip())
        return
    shipped = [load_recipe(each) for each in recipe_names()]
    if as_json:
        print_json([{"name": each.name, "about": each.about, "demo_datasets": each.demo_datasets} for each in shipped])
        return
    rows = [(each.name, each.about, ", ".join(each.demo_datasets)) for each in shipped]
    print_table(("recipe", "what it does", "demo dataset"), rows, empty="No recipes are installed.")


@explained
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's name, or a YAML file.")],
    dataset: DATASET = None,
    model: Annotated[str, typer.Option(help="A catalogue name, a folder, or a run that trained the whole model.")] = "",
    reward: REWARD = None,
    settings: SET = None,
    name: Annotated[str, typer.Option(help="Shown in lists.")] = "",
    effort: Annotated[str, typer.Option(help="quick, balanced or best")] = "balanced",
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only say what would be trained, for how long, and how.")
    ] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Start a run and watch it to its end. Ctrl-C stops watching, not the run."""
    spec = _spec(recipe, effort, {"dataset": dataset, "reward": reward, "model": model, "name": name}, settings or [])
    draw_demo_datasets(spec)
    if spec.kind == "grpo" and not plan:
        dry_run(spec, as_json=as_json)
    resolved = resolve(spec, context.workspace())
    if plan:
        show_plan(resolved, as_json=as_json)
        return
    follow(context.launcher().submit(resolved), detach=detach, as_json=as_json)


def draw_demo_datasets(spec: RunSpec) -> None:
    """Draw the demo datasets where the spec names one that is not there yet."""
    store = context.dataset_store()
    missing = {share.name for share in spec.data.datasets} - set(store.names())
    if missing & {demo.name for demo in DEMO_DATASETS}:
        prepare_demo_datasets(store)


def _too_long(dataset: dict[str, Any]) -> list[str]:
    about = "" if dataset["is_exact"] else "about "
    ways = (("left_out", "left out"), ("shrunk", "shown with smaller images"))
    return [
        f"{about}{dataset[key]:,} of its rows are too long and will be {done} (the longest has "
        f"{dataset['longest_tokens']:,} tokens)"
        for key, done in ways
        if dataset[key]
    ]


def _spec(recipe: str, effort: str, options: dict[str, Any], settings: list[str]) -> RunSpec:
    if recipe.endswith((".yaml", ".yml")) and Path(recipe).is_file():
        spec = spec_from_yaml(Path(recipe).read_text(encoding="utf-8"), source=recipe)
    else:
        spec = load_recipe(recipe).spec
    efforts = [each for each in EFFORTS if each == effort]
    if not efforts:
        raise SpecError(f"`{effort}` is no effort", hint=f"Choose one of {', '.join(EFFORTS)}")
    if options["reward"] and spec.kind == "sft":
        raise SpecError(f"`{recipe}` learns from answers, not from rewards", hint="Take the recipe `grpo`")
    changes: dict[str, Any] = {
        knob: [_share(kind, text, option) for text in options[option] or ()]
        for knob, kind, option in (("data.datasets", DatasetShare, "dataset"), ("grpo.rewards", RewardShare, "reward"))
    }
    changes |= {"model.base": options["model"], "name": options["name"]}
    others = {path: value for path, value in changes.items() if value}
    return apply_settings(with_effort(spec, efforts[0]), settings, others=others)


def _share(kind: type[DatasetShare | RewardShare], text: str, option: str) -> dict[str, Any]:
    name, sign, weight = text.partition(":")
    try:
        return kind(name=name, weight=float(weight) if sign else 1.0).model_dump()
    except ValueError as error:
        raise SpecError(
            f"`--{option} {text}` is not NAME or NAME:WEIGHT", hint="A weight is a number of at most 1000"
        ) from error
