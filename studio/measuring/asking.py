"""What an evaluation is asked to look at, from what a person names."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from backend.errors import NotFoundError, SpecError, StudioError
from backend.ids import RunId, is_safe_name
from backend.settings import Workspace
from backend.spec.reading import read_spec
from backend.spec.run import RunSpec
from backend.store.runs import RunStore

LISTED = 500  # evaluations


def base_of(checkpoint: str, workspace: Workspace, t: Callable[..., str] | None = None) -> str:
    """What a run of this workspace was trained from.

    Args:
        checkpoint: as a person names it.
        workspace: where runs lie.
        t: of the page that asks; without it, what is wrong is said for a terminal.

    Raises:
        SpecError: that is not known.
    """
    run = checkpoint.partition("/")[0]
    try:
        if is_safe_name(run) and (workspace.output / run / "spec.json").is_file():
            return read_spec(workspace.output / run).model.base
    except (StudioError, ValueError):
        pass
    if t is not None:
        raise SpecError(t("evaluate.no_base", model=checkpoint[:80]), hint=t("evaluate.no_base.hint"))
    raise SpecError(f"What `{checkpoint[:80]}` was trained from is not known", hint="Name it: `--compare MODEL`")


def trained_run(spec: RunSpec, runs: RunStore) -> str:
    """The training run whose checkpoint an evaluation looks at first; empty where it is a model from elsewhere."""
    run = spec.comparison.contestants[0].checkpoint.partition("/")[0] if spec.comparison.contestants else ""
    try:
        view = runs.get(RunId(run))
    except NotFoundError:
        return ""
    return run if view.spec.kind in ("sft", "grpo") else ""


def list_view(runs: RunStore, value: dict[str, Any] | None) -> dict[str, Any]:
    """The evaluations there are, newest first, as the list shows them; the newest is chosen where none is."""
    views = runs.views(LISTED, kinds=("evaluation",))
    found = [{"id": str(view.id), "name": view.name, "state": view.state, "said": _said(view.spec)} for view in views]
    chosen = str((value or {}).get("chosen") or "")
    if chosen not in {each["id"] for each in found}:
        chosen = found[0]["id"] if found else ""
    return {"chosen": chosen, "evaluations": found}


def names_of(runs: RunStore, spec: RunSpec | None = None) -> dict[str, str]:
    """What people call runs, by id; where several have one name, with the id behind it.

    Args:
        runs: where they are.
        spec: of an evaluation, to name its contestants only; else all runs are named.
    """
    known = runs.names()
    if spec is not None:
        meant = {each.checkpoint.partition("/")[0] for each in spec.comparison.contestants}
        known = {run_id: name for run_id, name in known.items() if run_id in meant}
    often = Counter(known.values())
    return {run_id: name if often[name] == 1 else f"{name} ({run_id})" for run_id, name in known.items()}


def _said(spec: RunSpec) -> str:
    return " + ".join(share.name for share in spec.data.datasets)
