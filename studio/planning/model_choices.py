"""Which models the page offers: those that can be trained now, and those to be fetched first."""

from backend.catalog.checkpoints import added_models, model_folder
from backend.catalog.models import CATALOGUE, Model
from backend.store.views import RunView
from studio.i18n import Translate
from studio.measuring.asking import names_of
from studio.planning.plan import gigabytes
from studio.services import Services

LOOKED_THROUGH = 1_000  # trainings, the newest ones, of which a few are whole models
Choices = list[tuple[str, str]]  # what is shown, what a spec says


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


def _whole_models(services: Services) -> list[RunView]:
    found = services.runs.views(LOOKED_THROUGH, states=("finished", "stopped"), kinds=("sft", "grpo"))
    return [view for view in found if view.spec.table.is_whole and view.folder.has_final_model]


def _absent(model: Model, t: Translate) -> tuple[str, str]:
    if not model.download_bytes:
        return model.title, model.name
    return t("train.model.missing", title=model.title, size=gigabytes(model.download_bytes)), model.name
