"""Dry-run rewards and wait for the report; before a run learns from one that nothing vouches for, by itself."""

import typer

from backend.errors import RewardError
from backend.recipes.resolve import resolve
from backend.recipes.rewards import unchecked
from backend.rewards.report import CheckReport, read_report
from backend.spec.run import RunSpec
from studio.cli import doors
from studio.cli.following import POLL_S, described
from studio.cli.output import RUN_FAILED, print_json, say, warn


def tried(spec: RunSpec, *, as_json: bool) -> CheckReport:
    """Run a resolved spec of kind `reward_check` to its end. One that has nothing to report is exit code 1."""
    run_id = doors.launcher().submit(spec)
    if not as_json:
        say(f"Run {run_id}: {spec.grpo.check_rows} rows, {spec.grpo.generations} answers of {spec.model.base} to each")
    view = doors.launcher().wait(run_id, poll_s=POLL_S)
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
    names = unchecked(spec, doors.workspace())
    if not names:
        return
    warn(f"Dry run first: {', '.join(f'`{name}`' for name in names)}")
    shares = [share.model_dump() for share in spec.grpo.rewards if share.name in names]
    trial = spec.with_values({"kind": "reward_check", "name": "", "grpo.rewards": shares})
    report = tried(resolve(trial, doors.workspace()), as_json=as_json)
    for found in report.warnings:
        warn(f"warning: {found.text}")
    if not report.passed:
        hint = f"Mend it, then `studio reward check {' '.join(names)} --dataset {spec.data.datasets[0].name}`"
        raise RewardError(
            "The dry run was not passed: " + "; ".join(found.text for found in report.warnings), hint=hint
        )
