"""`studio runs`: list, show, logs, stop, resume, delete, rename; and following one to its end."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer

from backend.runs.folder import TERMINAL
from backend.spec.files import spec_to_yaml
from backend.store.views import RunView
from studio.cli import context
from studio.cli.follow import described, follow
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say

app = typer.Typer(help="Runs: list, show, logs, stop, resume, delete, rename.", invoke_without_command=True)
RUN = Annotated[str, typer.Argument(help="A run's id, its name, or the beginning of its id.")]
FOLLOW_S = 0.5


@app.callback()
@explained
def listing(ctx: typer.Context, as_json: JSON_OPTION = False) -> None:
    """List the runs, newest first."""
    context.launcher().schedule()
    if ctx.invoked_subcommand is not None:
        return
    views = context.run_store().views()
    if as_json:
        print_json([described(view) for view in views])
        return
    rows = [(view.id, view.name, view.state, _progress(view), _loss(view)) for view in views]
    print_table(
        ("run", "name", "state", "progress", "loss"), rows, empty="No runs yet: studio train lora --dataset paint-codes"
    )


@app.command()
@explained
def show(
    run: RUN,
    as_json: JSON_OPTION = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print its spec as YAML, for `studio train FILE`.")] = False,
) -> None:
    """Show one run: state, progress, last metrics, checkpoints."""
    view = context.run_store().find(run)
    if as_yaml:
        say(spec_to_yaml(view.spec).rstrip())
        return
    if as_json:
        print_json(described(view) | {"spec": view.spec.model_dump(mode="json")})
        return
    begun = datetime.fromtimestamp(view.created_at).astimezone()
    facts: list[tuple[str, object]] = [
        ("name", view.name),
        ("state", view.state),
        ("reason", view.reason),
        ("hint", view.hint),
        ("created", f"{begun:%Y-%m-%d %H:%M:%S}"),
        ("strategy", view.spec.strategy.name),
        ("resumed from", view.spec.resumed_from),
        ("datasets", ", ".join(share.name for share in view.spec.data.datasets)),
        ("progress", _progress(view)),
        *((key, f"{value:.6g}") for key, value in view.metrics.items() if value is not None),
        ("checkpoints", ", ".join(path.name for path in view.folder.checkpoints())),
        ("folder", view.folder.path),
        ("notes", view.notes),
    ]
    print_table((view.id, ""), [fact for fact in facts if str(fact[1])], empty="")


@app.command()
@explained
def logs(
    run: RUN,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on until the run ends.")] = False,
    lines: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
) -> None:
    """Print the tail of a run's log."""
    view, launcher = context.run_store().find(run), context.launcher()
    printed = launcher.log_tail(view.id, lines)
    say(printed.rstrip("\n"))
    if follow:
        _follow(view, printed, lambda: launcher.log_tail(view.id, lines))


def _follow(view: RunView, printed: str, read: Callable[[], str]) -> None:
    while context.run_store().get(view.id).state not in TERMINAL:
        time.sleep(FOLLOW_S)
        context.launcher().schedule()
        now = read()
        overlap = next((size for size in range(min(len(printed), len(now)), 0, -1) if printed.endswith(now[:size])), 0)
        if now[overlap:].strip():
            say(now[overlap:].rstrip("\n"))
        printed = now


@app.command()
@explained
def stop(
    run: RUN,
    now: Annotated[bool, typer.Option("--now", help="Without saving a final model.")] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Ask a run to save its model and end."""
    view = context.run_store().find(run)
    context.launcher().stop(view.id, "now" if now else "save")
    view = context.run_store().get(view.id)
    print_json(described(view)) if as_json else say(f"Run {view.id} is {view.state}.")


@app.command()
@explained
def resume(
    run: RUN,
    checkpoint: Annotated[str, typer.Option(help="Which; by default the newest, e.g. checkpoint-100.")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start it and return at once.")] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Go on from a checkpoint, as a new run chained to the old one; with the same losses as without the break."""
    view, launcher = context.run_store().find(run), context.launcher()
    follow(launcher.resume(view.id, checkpoint), detach=detach, as_json=as_json)


@app.command()
@explained
def delete(run: RUN, as_json: JSON_OPTION = False) -> None:
    """Delete a run that has ended, with its checkpoints."""
    view = context.run_store().find(run)
    context.launcher().delete(view.id)
    print_json({"deleted": view.id}) if as_json else say(f"Deleted {view.id}.")


@app.command()
@explained
def rename(run: RUN, name: str) -> None:
    """Give a run another name; its id stays."""
    view = context.run_store().find(run)
    context.run_store().rename(view.id, name)
    say(f"{view.id} is now called {name}.")


def _progress(view: RunView) -> str:
    if not view.total_steps:
        return view.phase or ""
    remaining = f", {view.seconds_left:.0f} s left" if view.seconds_left and view.state == "running" else ""
    return f"step {view.step} of {view.total_steps}{remaining}"


def _loss(view: RunView) -> str:
    loss = view.metrics.get("loss")
    return "" if loss is None else f"{loss:.4f}"
