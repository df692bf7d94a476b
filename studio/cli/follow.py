"""Follow a run in a terminal to its end, and say what became of it."""

from typing import Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from backend.runs.events import Event
from backend.store.views import RunView
from studio.cli import context
from studio.cli.output import RUN_FAILED, print_json, say, warn

POLL_S = 0.3
COUNTED = {"training": "step", "answering": "answer"}  # phases whose progress is counted, and what is


def described(view: RunView) -> dict[str, Any]:
    """A run as `--json` prints it."""
    return {
        "run_id": view.id,
        "name": view.name,
        "state": view.state,
        "reason": view.reason,
        "hint": view.hint,
        "folder": str(view.folder.path),
        "resumed_from": view.spec.resumed_from,
        "step": view.step,
        "total_steps": view.total_steps,
        "metrics": view.metrics,
        "unreadable_events": view.bad_lines,
        "checkpoints": [path.name for path in view.folder.checkpoints()],
        "final_model": str(view.folder.final_model) if view.folder.has_final_model else None,
    }


def follow(run_id: str, *, detach: bool, as_json: bool) -> None:
    """Watch a submitted run to its end; Ctrl-C stops watching, not the run. A run that fails is exit code 1."""
    if detach:
        view = context.run_store().get(run_id)
        print_json(described(view)) if as_json else say(f"Run {run_id} is {view.state}: studio runs logs {run_id} -f")
        return
    view = context.launcher().wait(run_id, poll_s=POLL_S) if as_json else watched(run_id)
    if as_json:
        print_json(described(view))
    if view.state in ("failed", "lost"):
        if not as_json:
            warn(f"Run {run_id} {view.state}: {view.reason}\nhint: {view.hint}")
        raise typer.Exit(RUN_FAILED)


def watched(run_id: str) -> RunView:
    """Show a bar until the run has ended."""
    say(f"Run {run_id}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, transient=False) as progress:
        task = progress.add_task("queued", total=None, numbers="")
        numbers: dict[str, str] = {}

        def show(event: Event) -> None:
            if event.kind == "progress":
                total, phase = event.values.get("total_steps"), event.values.get("phase", "")
                text = f"{COUNTED[phase]} {event.step} of {total}" if total and phase in COUNTED else str(phase)
                progress.update(task, description=text, completed=event.step, total=total)
            elif event.kind == "metric":
                numbers.update(_in_words(event.values))
                progress.update(task, numbers=" · ".join(numbers.values()))
            elif event.kind == "note" and event.values.get("level") == "warning":
                warning = f"step {event.step}: {event.values.get('text', '')}"
                progress.console.print(warning, markup=False, soft_wrap=True)

        view = context.launcher().wait(run_id, on_event=show, poll_s=POLL_S)
    if view.state in ("finished", "stopped") and view.kind != "evaluation":
        say(f"{view.state}: {view.folder.final_model if view.folder.has_final_model else view.folder.path}")
        say(f'talk to it: studio chat {run_id} --image IMAGE --prompt "..." --compare {view.spec.model.base}')
    return view


def _in_words(values: dict[str, Any]) -> dict[str, str]:
    """The numbers of a metric event that a person follows."""
    words = {}
    if values.get("reward") is not None:
        words["reward"] = f"reward {values['reward']:.2f}"
    elif values.get("loss") is not None:
        words["loss"] = f"loss {values['loss']:.3f}"
    if values.get("exact_match") is not None:
        words["exact_match"] = f"validation exact match {values['exact_match']:.0%}"
    return words
