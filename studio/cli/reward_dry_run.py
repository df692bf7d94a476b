"""Dry-run rewards on real rows, wait for the report, and print it."""

import typer

from backend.errors import RewardError
from backend.recipes.resolve import resolve
from backend.recipes.versions import unchecked
from backend.rewards.contract import Isolation
from backend.rewards.dry_run import DryRunReport, DryRunRow, ScoredAnswer, read_report
from backend.rewards.sandbox.client import describe_isolation
from backend.spec.run import RunSpec
from studio.cli import context
from studio.cli.follow import POLL_S, described
from studio.cli.output import RUN_FAILED, print_json, print_table, say, warn

MAX_ANSWER_CHARACTERS = 40  # of an answer
KIND_LABELS = {
    "gold": "gold",
    "sample": "drawn",
    "empty": "empty",
    "repeated": "gold x 50",
    "tags": "only tags",
    "long": "filler",
}


def run_dry_run(spec: RunSpec, *, as_json: bool) -> DryRunReport:
    """Run a resolved spec of kind `reward_check` to its end. One that has nothing to report is exit code 1."""
    run_id = context.launcher().submit(spec)
    if not as_json:
        say(f"Run {run_id}: {spec.grpo.check_rows} rows, {spec.grpo.generations} answers of {spec.model.base} to each")
    view = context.launcher().wait(run_id, poll_s=POLL_S)
    report = read_report(view.folder.check)
    if view.state == "finished" and report is not None:
        return report
    if as_json:
        print_json(described(view))
    else:
        warn(f"Run {run_id} {view.state}: {view.reason}\nhint: {view.hint}")
    raise typer.Exit(RUN_FAILED)


def dry_run(spec: RunSpec, *, as_json: bool) -> None:
    """Dry-run those rewards of a spec that were changed since the last time; say what that warns of, on stderr.

    Raises:
        RewardError: one fails, or never applies.
        NotFoundError: there is no such reward.
    """
    names = unchecked(spec, context.workspace())
    if not names:
        return
    warn(f"Dry run first: {', '.join(f'`{name}`' for name in names)}")
    shares = [share.model_dump() for share in spec.grpo.rewards if share.name in names]
    trial = spec.with_values({"kind": "reward_check", "name": "", "grpo.rewards": shares})
    report = run_dry_run(resolve(trial, context.workspace()), as_json=as_json)
    for warning in report.warnings:
        warn(f"warning: {warning.text}")
    if not report.passed:
        hint = f"Mend it, then `studio reward check {' '.join(names)} --dataset {spec.data.datasets[0].name}`"
        raise RewardError(
            "The dry run was not passed: " + "; ".join(warning.text for warning in report.warnings), hint=hint
        )


def print_report(report: DryRunReport) -> None:
    """Print every answer with what it earns, then what it all says about the rewards."""
    names = [reward.name for reward in report.rewards]
    for row in report.rows:
        _print_row(row, names)
    if report.no_spread_share is not None:
        say(f"Groups without spread, which teach nothing: {report.no_spread_share:.0%}")
    for warning in report.warnings:
        say(f"warning {warning.code}: {warning.text}")
    say(isolation_line(report.isolation))
    count = len(report.warnings)
    warned = f" with {count} warning{'s' * (count > 1)}" if count else ""
    say(f"passed{warned}" if report.passed else f"not passed{warned}: mend the reward and check it again")


def isolation_line(isolation: Isolation) -> str:
    """What the worker is kept from on this machine, in a sentence."""
    return f"The rewards ran with isolation level {isolation.level}: {describe_isolation(isolation)}"


def _print_row(row: DryRunRow, names: list[str]) -> None:
    spread = "" if row.spread is None else f", spread {row.spread:.3g}"
    say(f"{row.dataset} {row.row}{spread}")
    columns = ("", "answer", *names, *(["total"] if len(names) > 1 else []), "ms", "problem")
    print_table(columns, [_cells(answer, names) for answer in row.answers], empty="no answers")
    say("")


def _cells(answer: ScoredAnswer, names: list[str]) -> tuple[str, ...]:
    values = [answer.values.get(name) for name in names] + ([answer.total] if len(names) > 1 else [])
    scores = ("-" if value is None else f"{value:.3g}" for value in values)
    return (KIND_LABELS[answer.kind], _short(answer.text), *scores, f"{answer.seconds * 1000:.3g}", answer.problem)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MAX_ANSWER_CHARACTERS else f"{line[: MAX_ANSWER_CHARACTERS - 1]}…"
