"""`studio eval`: ask checkpoints a dataset's rows, measure the answers, and say whether one is better."""

from typing import Annotated, Literal

import typer

from backend.errors import SpecError
from backend.evaluation.report import read_report
from backend.probes.dataset import PROBES, prepare_probes
from backend.recipes.evaluating import evaluation_spec
from backend.recipes.resolve import resolve
from backend.spec.comparing import Check
from backend.spec.reading import apply_settings
from backend.spec.run import RunSpec
from studio.cli import doors
from studio.cli.evaluation_report import as_plain, print_report
from studio.cli.following import POLL_S, described, follow, watched
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json, say, warn
from studio.cli.training import draw_demo_datasets
from studio.measuring.asking import base_of

DATASET = Annotated[list[str] | None, typer.Option("--dataset", help="Whose rows are asked; may be repeated.")]
COMPARE = Annotated[list[str] | None, typer.Option("--compare", help="Another one, on the same rows; up to two.")]
METRIC = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A metric, or a reward of your own; the first decides. May be repeated."),
]
ROWS = Annotated[Literal["heldout", "train", "all"], typer.Option("--rows", help="heldout, train or all")]
CHECK = Annotated[
    Check,
    typer.Option(
        "--check",
        help="quality; picture: is it used? forgetting: what was lost? export: same answers merged, in 4 bits?",
    ),
]
SET = Annotated[list[str] | None, typer.Option("--set", help="knob=value; may be repeated.")]


@explained
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A run, RUN/checkpoint-N, a model, or a folder.")],
    dataset: DATASET = None,
    compare: COMPARE = None,
    metric: METRIC = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many rows; 0 means all.")] = 0,
    rows: ROWS = "heldout",
    check: CHECK = "quality",
    settings: SET = None,
    name: Annotated[str, typer.Option(help="Shown in lists.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Measure checkpoints on the same rows, with intervals and a verdict in words. It is a run: Ctrl-C leaves it be."""
    checkpoints = [checkpoint, *(compare or [])]
    if check == "forgetting" and not compare:
        checkpoints.append(base_of(checkpoint, doors.workspace()))
    changes = {"comparison.split": rows, "comparison.limit": limit, "comparison.metrics": metric or [], "name": name}
    if check == "forgetting" and dataset:
        raise SpecError("The forgetting check has rows of its own", hint="Leave `--dataset` out")
    spec = apply_settings(evaluation_spec(check, checkpoints, dataset or [], changes), settings or [])
    _draw_missing(spec)
    run_id = doors.launcher().submit(resolve(spec, doors.workspace()))
    if detach:
        follow(run_id, detach=True, as_json=as_json)
        return
    view = doors.launcher().wait(run_id, poll_s=POLL_S) if as_json else watched(run_id)
    report = read_report(view.folder.report)
    if as_json:
        print_json(described(view) | (as_plain(report) if report else {}))
    elif report is not None:
        print_report(report)
        say(f"row by row: {view.folder.answers}")
    if report is None:
        if not as_json:
            warn(f"Run {run_id} {view.state}: {view.reason}\nhint: {view.hint}")
        raise typer.Exit(RUN_FAILED)


def _draw_missing(spec: RunSpec) -> None:
    """Make the studio's own datasets where the spec names them and they are not there yet."""
    draw_demo_datasets(spec)
    if PROBES in {share.name for share in spec.data.datasets}:
        prepare_probes(doors.dataset_store())
