"""The spec of an evaluation: made from what a person asks, then made explicit and possible."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any

from backend.catalog.checkpoints import resolve_checkpoint
from backend.datasets.records import Statistics
from backend.datasets.store import DatasetStore
from backend.demo.probes import PROBES
from backend.errors import SpecError, StudioError
from backend.ids import is_safe_name
from backend.metrics.library import proposed_metrics
from backend.recipes.versions import dataset_versions, refuse_all, resolve_metrics
from backend.settings import Workspace
from backend.spec.evaluation import Check, Rows, contestants_for
from backend.spec.files import apply_settings, read_spec, spec_from
from backend.spec.run import RunSpec

LONGEST_ROW = 32_768  # tokens, of Qwen2.5-VL's context; a row is never cut
LOOKED_AT = 2000  # rows whose answers tell which metrics suit
CHECK_NAMES = {
    "quality": "evaluation",
    "image": "image check",
    "forgetting": "forgetting check",
    "export": "export check",
}


def evaluation_spec(
    check: Check, checkpoints: Sequence[str], datasets: Sequence[str], changes: Mapping[str, Any] | None = None
) -> RunSpec:
    """Ask for an evaluation.

    Args:
        check: what the answers shall tell.
        checkpoints: as `resolve_checkpoint` takes them; the first is compared with the others.
        datasets: names; the probe set where a check of forgetting names none.
        changes: knobs by dotted path.

    Raises:
        SpecError: no checkpoint, or the wrong number of them for the check.
    """
    contestants = tuple(dict.fromkeys(each for each in checkpoints if each))
    _refuse_number(check, contestants)
    names = list(dict.fromkeys(datasets)) or ([PROBES] if check == "forgetting" else [])
    content: dict[str, Any] = {
        "kind": "evaluation",
        "model": {"base": contestants[0]},
        "data": {"datasets": [{"name": name} for name in names], "max_tokens": LONGEST_ROW},
        "comparison": {
            "check": check,
            "contestants": [each.model_dump() for each in contestants_for(check, contestants)],
        },
    }
    return apply_settings(spec_from(content, source="evaluation"), [], others=changes)


def resolve_evaluation(spec: RunSpec, workspace: Workspace) -> RunSpec:
    """Fill in dataset versions, metrics, how boxes are written, and a name.

    Raises:
        SpecError: checkpoints, datasets or metrics that are not there, no rows to ask; every reason at once.
    """
    problems: list[StudioError] = []
    for contestant in spec.comparison.contestants:
        try:
            resolve_checkpoint(contestant.checkpoint, workspace)
        except StudioError as error:
            problems.append(error)
    shares = dataset_versions(spec, workspace, problems, partial(_no_rows, spec.comparison.split))
    metrics = resolve_metrics(spec, workspace, problems)
    refuse_all({problem.message: problem for problem in problems}.values())  # type: ignore[arg-type]
    return spec.with_values(
        {
            "data.datasets": [share.model_dump() for share in shares],
            "data.boxes": boxes_of_contestants(spec, workspace),
            "comparison.metrics": metrics or _suitable(spec, workspace),
            "name": spec.name.strip() or _usual_name(spec)[:120],
        }
    )


def boxes_of_contestants(spec: RunSpec, workspace: Workspace) -> str:
    """As a contestant's training on these datasets read boxes, whichever of them it is; else as asked."""
    datasets = {share.name for share in spec.data.datasets}
    for contestant in spec.comparison.contestants:
        run = contestant.checkpoint.partition("/")[0]
        folder = workspace.output / run
        if is_safe_name(run) and (folder / "spec.json").is_file():
            with suppress(StudioError, ValueError):
                data = read_spec(folder).data
                if data.boxes != "as_written" and datasets & {share.name for share in data.datasets}:
                    return data.boxes
    return spec.data.boxes


def _refuse_number(check: Check, checkpoints: tuple[str, ...]) -> None:
    if not checkpoints:
        raise SpecError("No checkpoint is chosen", hint="Name a run, a checkpoint of one, or a model")
    if check in ("image", "export") and len(checkpoints) != 1:
        raise SpecError(f"The {CHECK_NAMES[check]} looks at one checkpoint", hint="Leave the others out")
    if check == "forgetting" and len(checkpoints) != 2:
        raise SpecError(
            "The forgetting check needs two checkpoints: after and before training",
            hint="Name the trained one first, then the model that it was trained from",
        )
    if len(checkpoints) > 3:
        raise SpecError(f"{len(checkpoints)} checkpoints are too many at once", hint="Compare two or three")


def _no_rows(split: Rows, name: str, counts: Statistics) -> SpecError | None:
    rows = counts.rows if split == "all" else counts.rows_of(split)
    if rows:
        return None
    kind = {"train": "training ", "all": ""}.get(split, f"{split} ")
    other = next((part for part in ("test", "validation") if counts.rows_of(part)), "all")
    named = f"its {other}" if other != "all" else "all"
    return SpecError(f"`{name}` has no {kind}rows", hint=f"Ask {named} rows: `--rows {other}`")


def _suitable(spec: RunSpec, workspace: Workspace) -> tuple[str, ...]:
    """The metrics that suit the golds of the rows that will be asked; the probes' answers are made to be matched."""
    if spec.comparison.check == "forgetting":
        return ("exact_match",)
    store = DatasetStore(workspace)
    split = None if spec.comparison.split == "all" else spec.comparison.split
    rows = [row for share in spec.data.datasets for row in islice(store.rows(share.name, split=split), LOOKED_AT)]
    golds = [row.messages[-1].content for row in rows if row.messages[-1].role == "assistant"]
    return proposed_metrics(golds, references=any(row.references for row in rows))


def _usual_name(spec: RunSpec) -> str:
    named = list(dict.fromkeys(contestant.checkpoint for contestant in spec.comparison.contestants))
    return f"{CHECK_NAMES[spec.comparison.check]} {' vs '.join(named)}"
