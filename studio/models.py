"""Which models the page and commands offer, and what a person's choice of one means."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from backend.catalog.checkpoints import added_models, model_folder
from backend.catalog.models import CATALOGUE, CatalogModel
from backend.errors import NotFoundError, SpecError, StudioError
from backend.ids import RunId, is_safe_name
from backend.settings import Workspace
from backend.spec.files import read_spec
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from backend.store.views import RunView
from studio.services import Services
from studio.ui.formatting import gigabytes
from studio.ui.i18n import Translate

LISTED = 500  # evaluations
LOOKED_THROUGH = 1_000  # trainings, the newest ones, of which a few are whole models
Choices = list[tuple[str, str]]  # what is shown, what a spec says


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
    found = [
        {"id": str(view.id), "name": view.name, "state": view.state, "said": _summary(view.spec)} for view in views
    ]
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


def model_choices(services: Services, t: Translate) -> Choices:
    """The demo and downloaded models, whole models of runs, folders a person added, then models to be fetched."""
    here = {name for name in CATALOGUE if model_folder(name, services.workspace) is not None}
    trained = [(t("train.model.run", name=view.name), str(view.id)) for view in _whole_models(services)]
    added = [(name, name) for name in added_models(services.workspace)]
    known = [(model.title, model.name) for model in CATALOGUE.values() if model.name in here]
    absent = [_absent(model, t) for model in CATALOGUE.values() if model.name not in here]
    return known + trained + added + absent


def catalogue_choices(t: Translate) -> Choices:
    """What is offered before anybody has looked what is here."""
    return [_absent(model, t) for model in CATALOGUE.values()]


def present_choices(services: Services, t: Translate) -> Choices:
    """What can answer now: models on this machine, then runs and their checkpoints by the names people gave them."""
    names = names_of(services.runs)
    offered = []
    for choice in services.chats.choices():
        run_id, _, checkpoint = choice.reference.partition("/")
        kind = checkpoint or t("play.final")
        offered.append((f"{names[run_id]} · {kind}" if run_id in names else choice.label, choice.reference))
    return offered


def is_offered(base: str, services: Services) -> bool:
    """Whether a page may start from `base`: a path that a browser made up may not reach a loader."""
    runs = {str(view.id) for view in _whole_models(services)}
    return base in CATALOGUE or base in runs or base in added_models(services.workspace)


def _summary(spec: RunSpec) -> str:
    return " + ".join(share.name for share in spec.data.datasets)


def _whole_models(services: Services) -> list[RunView]:
    found = services.runs.views(LOOKED_THROUGH, states=("finished", "stopped"), kinds=("sft", "grpo"))
    return [view for view in found if view.spec.table.is_whole and view.folder.has_final_model]


def _absent(model: CatalogModel, t: Translate) -> tuple[str, str]:
    if not model.download_bytes:
        return model.title, model.name
    return t("train.model.missing", title=model.title, size=gigabytes(model.download_bytes)), model.name
