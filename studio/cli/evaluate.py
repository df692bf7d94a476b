"""`studio eval`: ask checkpoints a dataset's rows, measure the answers, and say whether one is better."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import typer

from backend.demo.probes import PROBES, prepare_probes
from backend.errors import SpecError
from backend.recipes.evaluation import evaluation_spec
from backend.recipes.resolve import resolve
from backend.runs.evaluation_report import ContestantResult, EvaluationReport, MetricFacts, read_report
from backend.spec.evaluation import Check
from backend.spec.files import apply_settings
from backend.spec.run import RunSpec
from studio.cli import context
from studio.cli.follow import POLL_S, described, follow, watched
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json, print_table, say, warn
from studio.cli.train import draw_demo_datasets
from studio.models import base_of

LETTERS = "ABC"  # how the sides are called in tables
DATASET = Annotated[list[str] | None, typer.Option("--dataset", help="Whose rows are asked; may be repeated.")]
COMPARE = Annotated[list[str] | None, typer.Option("--compare", help="Another one, on the same rows; up to two.")]
METRIC = Annotated[
    list[str] | None,
    typer.Option("--metric", help="A metric, or a reward of your own; the first decides. May be repeated."),
]
ROWS = Annotated[
    Literal["validation", "test", "train", "all", "heldout"],  # the last is what earlier versions called the first
    typer.Option("--rows", metavar="[validation|test|train|all]", help="Of which part of the dataset."),
]
CHECK = Annotated[
    Check,
    typer.Option(
        "--check",
        help="quality; image: is it used? forgetting: what was lost? export: same answers merged, in 4 bits?",
    ),
]
SET = Annotated[list[str] | None, typer.Option("--set", help="knob=value; may be repeated.")]


def as_plain(report: EvaluationReport) -> dict[str, Any]:
    """The report for `--json`; `metrics` are those of the first checkpoint, as {name: {value, low, high, n}}."""
    plain = report.model_dump(mode="json")
    return {"report": plain, "metrics": plain["sides"][0]["measures"], "conclusion": report.conclusion.text}


def print_report(report: EvaluationReport) -> None:
    """Print each side's numbers with their intervals, then the verdicts in words."""
    for letter, side in zip(LETTERS, report.sides, strict=False):
        say(f"{letter}: {side.label}")
    heads = (f"{report.rows:,} rows", *LETTERS[: len(report.sides)])
    print_table(heads, _lines(report), empty="Nothing was measured.")
    _print_groups(report)
    for text in _notes(report):
        say(text)
    decisive = report.metrics[0].name if report.metrics else ""
    for difference in report.differences:
        if difference.metric != decisive or report.check != "quality":
            say(f"{difference.metric}: {difference.text}")
    say(report.conclusion.text)


@explained
def evaluate(
    checkpoint: Annotated[str, typer.Argument(help="A run, RUN/checkpoint-N, a model, or a folder.")],
    dataset: DATASET = None,
    compare: COMPARE = None,
    metric: METRIC = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many rows; 0 means all.")] = 0,
    rows: ROWS = "validation",
    check: CHECK = "quality",
    settings: SET = None,
    name: Annotated[str, typer.Option(help="Shown in lists.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Measure checkpoints on the same rows, with intervals and a verdict in words. It is a run: Ctrl-C leaves it be."""
    checkpoints = [checkpoint, *(compare or [])]
    if check == "forgetting" and not compare:
        checkpoints.append(base_of(checkpoint, context.workspace()))
    changes = {"comparison.split": rows, "comparison.limit": limit, "comparison.metrics": metric or [], "name": name}
    if check == "forgetting" and dataset:
        raise SpecError("The forgetting check has rows of its own", hint="Leave `--dataset` out")
    spec = apply_settings(evaluation_spec(check, checkpoints, dataset or [], changes), settings or [])
    _draw_missing(spec)
    run_id = context.launcher().submit(resolve(spec, context.workspace()))
    if detach:
        follow(run_id, detach=True, as_json=as_json)
        return
    view = context.launcher().wait(run_id, poll_s=POLL_S) if as_json else watched(run_id)
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


def _lines(report: EvaluationReport) -> list[tuple[str, ...]]:
    """The table: metrics, then how much was cut off or could not be read, then the speed."""
    lines = [(facts.name, *(_measured(facts, side) for side in report.sides)) for facts in report.metrics]
    lines.append(("cut off", *(f"{side.cut / max(1, side.rows):.1%}" for side in report.sides)))
    for facts in report.metrics:
        if facts.name in report.sides[0].unread:
            shares = (f"{side.unread[facts.name] / max(1, side.rows):.1%}" for side in report.sides)
            lines.append((f"unread as {facts.name}", *shares))
    lines.append(("answers a second", *(f"{side.rows / max(1e-9, side.seconds):.1f}" for side in report.sides)))
    return lines


def _notes(report: EvaluationReport) -> Iterator[str]:
    if report.too_long:
        yield f"{report.too_long:,} rows were left out: they are too long"
    for facts in report.metrics:
        if facts.notice:
            yield f"note on {facts.name}: {facts.notice}"
    for trouble in report.troubles:
        label = report.sides[trouble.side].label
        yield f"warning: `{trouble.metric}` gave no number for {trouble.errors} answers of {label}: {trouble.example}"
    for each in report.agreements:
        pair = f"{report.sides[each.first].label} and {report.sides[each.second].label}"
        yield f"{pair} give the same answer on {each.same} of {each.rows} rows"


def _print_groups(report: EvaluationReport) -> None:
    names = list(report.sides[0].groups)
    if len(names) < 2 or not report.metrics:
        return
    facts = report.metrics[0]
    rows = [(name, *(_value(facts, side.groups.get(name, {}).get(facts.name)) for side in report.sides))
            for name in names]  # fmt: skip
    print_table((facts.name, *LETTERS[: len(report.sides)]), rows, empty="")


def _measured(facts: MetricFacts, side: ContestantResult) -> str:
    measure = side.measures.get(facts.name)
    if measure is None:
        return "-"
    interval = f"[{_value(facts, measure.low)}, {_value(facts, measure.high)}]"
    of = f" n={measure.n}" if measure.n != side.rows else ""
    return f"{_value(facts, measure.value)} {interval}{of}"


def _value(facts: MetricFacts, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if facts.is_share else f"{value:.4g}"


def _draw_missing(spec: RunSpec) -> None:
    """Make the studio's own datasets where the spec names them and they are not there yet."""
    draw_demo_datasets(spec)
    if PROBES in {share.name for share in spec.data.datasets}:
        prepare_probes(context.dataset_store())
