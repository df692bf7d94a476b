"""`studio train ... --plan`: what a run would train, for how long and how, before it starts."""

import json
from typing import Any

from backend.catalog.trained import trained_table
from backend.deepspeed_config import deepspeed_config
from backend.spec.length import samples_in_pass
from backend.spec.run import RunSpec
from studio.cli import doors
from studio.cli.output import print_json, print_table, say, warn
from studio.planning.fitting import Fitting, fittings
from studio.planning.preview import planned_steps


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
    found = {each.name: each for each in fittings(spec, doors.workspace())}
    rows = {name: each.rows - each.left_out for name, each in found.items()}
    return {
        "parts": [row._asdict() for row in trained_table(spec, doors.workspace())],
        "datasets": [
            found[share.name]._asdict() | {"samples_in_pass": samples_in_pass(rows[share.name], share.weight)}
            for share in spec.data.datasets
        ],
        "steps": planned_steps(spec, rows, mean_tokens(list(found.values()))).steps,
        "deepspeed": deepspeed_config(spec),
        "spec": spec.model_dump(mode="json"),
    }


def mean_tokens(found: list[Fitting]) -> dict[str, float]:
    """Tokens of an average sample of each dataset."""
    return {each.name: each.mean_tokens for each in found}


def _too_long(dataset: dict[str, Any]) -> list[str]:
    about = "" if dataset["is_exact"] else "about "
    ways = (("left_out", "left out"), ("shrunk", "shown with smaller pictures"))
    return [
        f"{about}{dataset[key]:,} of its rows are too long and will be {done} (the longest has "
        f"{dataset['longest_tokens']:,} tokens)"
        for key, done in ways
        if dataset[key]
    ]
