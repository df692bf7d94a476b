"""Evaluate: measure checkpoints on the same rows, see the worst answers, mend the data and train again."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

import gradio as gr

from backend.demo.probes import PROBES, prepare_probes
from backend.errors import NotFoundError, SpecError
from backend.ids import RunId
from backend.recipes.evaluation import evaluation_spec
from backend.recipes.resolve import resolve
from backend.recipes.versions import metric_choices
from backend.spec.evaluation import CHECKS, MOST_CONTESTANTS, Check, Contestant, Rows
from studio.models import base_of, list_view, names_of, present_choices, trained_run
from studio.pages.evaluate import components
from studio.pages.evaluate.label_fixes import HARD_SET, apply_changes, changes_of
from studio.pages.evaluate.results import label_in_words, metric_label
from studio.services import Services
from studio.ui.components import card_head, page_head
from studio.ui.events import act, refresh
from studio.ui.i18n import Translate
from studio.ui.shared_state import SharedState, TabRequest, select_tab

CHECKPOINTS_OF: dict[Check, int] = {"quality": MOST_CONTESTANTS, "image": 1, "forgetting": 2, "export": 1}
Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EvaluatePage:
    """What the handlers of this tab share."""

    services: Services
    t: Translate


@dataclass(frozen=True, slots=True)
class EvaluationForm:
    """What is asked, in the order in which handlers take it."""

    check: gr.Radio
    models: list[gr.Dropdown]
    dataset: gr.Dropdown
    split: gr.Dropdown
    limit: gr.Number
    metrics: gr.Dropdown

    @property
    def all(self) -> list[Any]:
        """Every component, in order."""
        return [self.check, *self.models, self.dataset, self.split, self.limit, self.metrics]


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = EvaluatePage(services, t)
    page_head(t("evaluate.title"), t("evaluate.about"))
    with gr.Row(equal_height=False, elem_classes="runs-columns"):
        with gr.Column(scale=4, min_width=300):
            form, start = _form(t)
            with gr.Column(elem_classes="card"):
                evaluations = components.evaluation_list(t)
        with gr.Column(scale=9, min_width=320):
            with gr.Column(elem_classes="card"):
                report = components.evaluation_report(t)
                with gr.Row(elem_classes="actions"):
                    stop = gr.Button(t("evaluate.stop"), size="sm", variant="stop", visible=False, elem_id="eval-stop")
                    again = gr.Button(t("evaluate.train_again"), size="sm", visible=False, elem_id="eval-train")
            with gr.Column(elem_classes="card"):
                wall = components.answer_wall(t)
    chosen = [report, wall, stop, again]

    refresh(evaluations.shown, partial(load, page), [evaluations, *form.all], [evaluations, *form.all[1:]])
    refresh(evaluations.input, partial(show, page), evaluations, chosen)
    refresh(form.check.change, show_fields, form.check, [*form.models, form.dataset, form.split])
    refresh(form.dataset.change, partial(show_parts, page), form.dataset, form.split)
    act(start.click, partial(begin, page), form.all, [evaluations, *chosen], t=t)
    refresh(report.done, partial(tell_end, page), evaluations, [evaluations, *chosen])
    act(stop.click, partial(end, page), evaluations, t=t)
    act(wall.apply, partial(mend, page), wall, wall, t=t)
    act(again.click, partial(train_again, page), evaluations, shared.rerun, t=t)
    wished = refresh(shared.evaluation.change, partial(take, page), shared.evaluation, form.all)
    refresh(wished.then, partial(select_tab, "evaluate"), None, shared.tabs)


def _form(t: Translate) -> tuple[EvaluationForm, gr.Button]:
    """What to look at, of which models, on which rows, by which metrics."""
    with gr.Column(elem_classes="card"):
        card_head(t("evaluate.new"))
        cards = [(f"{t(f'evaluate.check.{check}')}\n{t(f'evaluate.check.{check}.help')}", check) for check in CHECKS]
        check = gr.Radio(cards, value="quality", label=t("evaluate.check"), show_label=False, container=False,
                         elem_classes=["cards", "of-1"], elem_id="eval-check")  # fmt: skip
        models = [
            gr.Dropdown([], label=t(f"evaluate.model.{number}"), elem_id=f"eval-model-{number}",
                        info=t("evaluate.model.help") if number == 1 else None)
            for number in range(1, MOST_CONTESTANTS + 1)
        ]  # fmt: skip
        dataset = gr.Dropdown([], label=t("evaluate.dataset"), elem_id="eval-dataset")
        with gr.Row(elem_classes="knobs"):
            split = gr.Dropdown([(t(f"evaluate.rows.{rows}"), rows) for rows in get_args(Rows)], value="validation",
                                label=t("knob.comparison.split.label"), min_width=140, elem_id="eval-rows")  # fmt: skip
            limit = gr.Number(0, label=t("knob.comparison.limit.label"), info=t("evaluate.limit.help"), precision=0,
                              minimum=0, min_width=120, elem_id="eval-limit")  # fmt: skip
        metrics = gr.Dropdown([], multiselect=True, label=t("evaluate.metrics"), info=t("evaluate.metrics.help"),
                              elem_id="eval-metrics")  # fmt: skip
        start = gr.Button(t("evaluate.start"), variant="primary", elem_id="eval-start")
    return EvaluationForm(check, models, dataset, split, limit, metrics), start


def load(page: EvaluatePage, evaluations: Value | None, *values: Any) -> list[Any]:
    """Offer what is there now; keep what was chosen as far as it still is."""
    check, *models = values[: 1 + MOST_CONTESTANTS]
    dataset, _, _, metrics = values[1 + MOST_CONTESTANTS :]
    offered = present_choices(page.services, page.t)
    references = [reference for _, reference in offered]
    if not any(models):
        models = list(dict.fromkeys([*references[1:2], *references[:1]]))
    models = [*models, *[""] * MOST_CONTESTANTS][:MOST_CONTESTANTS]
    names = _datasets(page)
    known = metric_choices(page.services.workspace)
    return [
        list_view(page.services.runs, evaluations),
        *(_model(page, offered, model, number, check) for number, model in enumerate(models)),
        gr.Dropdown(choices=names, value=dataset if dataset in names else next(iter(names), None)),
        gr.skip(), gr.skip(),
        gr.Dropdown(choices=[(metric_label(name, page.t), name) for name in known],
                    value=[name for name in metrics or [] if name in known]),
    ]  # fmt: skip


def show_fields(check: Check) -> list[Any]:
    """Only what the check reads."""
    count, has_rows = CHECKPOINTS_OF.get(check, 1), check != "forgetting"
    models = [gr.Dropdown(visible=number < count) for number in range(MOST_CONTESTANTS)]
    return [*models, gr.Dropdown(visible=has_rows), gr.Dropdown(visible=has_rows)]


def show_parts(page: EvaluatePage, dataset: str | None) -> Any:
    """Say beside each part how many rows the chosen dataset has in it."""
    if not dataset or dataset not in page.services.datasets.names():
        return gr.skip()
    counts = page.services.datasets.get(dataset).statistics
    rows = {part: counts.rows if part == "all" else counts.rows_of(part) for part in get_args(Rows)}
    return gr.Dropdown([(f"{page.t(f'evaluate.rows.{part}')} ({count:,})", part) for part, count in rows.items()])


def show(page: EvaluatePage, evaluations: Value | None) -> list[Any]:
    """The chosen evaluation: its report, its rows, and what can be done with it."""
    run_id = str((evaluations or {}).get("chosen") or "")
    try:
        view = page.services.runs.get(RunId(run_id))
    except NotFoundError:
        return [{}, {}, gr.Button(visible=False), gr.Button(visible=False)]
    names = names_of(page.services.runs, view.spec)
    labels = [label_in_words(each, names, page.t) for each in view.spec.comparison.contestants]
    can_train = bool(trained_run(view.spec, page.services.runs))
    value = {"run_id": run_id, "labels": labels, "is_over": view.is_over, "set": HARD_SET}
    return [{"run_id": run_id}, value, gr.Button(visible=not view.is_over), gr.Button(visible=can_train)]


def begin(page: EvaluatePage, *values: Any) -> list[Any]:
    """Start an evaluation and show it. Raises StudioError with every reason why it cannot start."""
    check, *models = values[: 1 + MOST_CONTESTANTS]
    dataset, split, limit, metrics = values[1 + MOST_CONTESTANTS :]
    if check not in CHECKS:
        raise SpecError(page.t("error.nonsense"), hint=page.t("error.nonsense.hint"))
    wanted = [model for model in models[: CHECKPOINTS_OF.get(check, 1)] if model]
    _refuse_unknown(page, wanted)
    if check == "forgetting" and len(wanted) == 1:
        wanted.append(base_of(wanted[0], page.services.workspace, page.t))
    if check == "forgetting":
        prepare_probes(page.services.datasets)
    changes: Value = {
        "comparison.split": split if check != "forgetting" else "validation",
        "comparison.limit": int(limit or 0),
        "comparison.metrics": metrics or [],
    }
    names = names_of(page.services.runs)
    labels = [label_in_words(Contestant(checkpoint=each), names, page.t) for each in wanted]
    changes["name"] = f"{page.t(f'evaluate.name.{check}')}: {' / '.join(labels)}"[:120]
    datasets = [dataset] if dataset and check != "forgetting" else []
    spec = resolve(evaluation_spec(check, wanted, datasets, changes), page.services.workspace)
    chosen = {"chosen": str(page.services.launcher.submit(spec))}
    return [list_view(page.services.runs, chosen), *show(page, chosen)]


def tell_end(page: EvaluatePage, evaluations: Value | None) -> list[Any]:
    """Say in the list what has just ended, and show what it found."""
    return [list_view(page.services.runs, evaluations), *show(page, evaluations)]


def end(page: EvaluatePage, evaluations: Value | None) -> None:
    """Ask the evaluation to end; what was answered stays. Raises LaunchError where that cannot be done."""
    page.services.launcher.stop(str((evaluations or {}).get("chosen") or ""), "save")


def mend(page: EvaluatePage, wall: Value) -> Value:
    """Make new dataset versions of what was marked on the wall; `sent` says of which marks the answer is.

    Raises:
        DatasetError: nothing was changed.
    """
    view = page.services.runs.get(RunId(str(wall.get("run_id") or "")))
    if view.spec.kind != "evaluation":
        raise NotFoundError(page.t("evaluate.none"), hint=page.t("evaluate.none_help"))
    messages = apply_changes(page.services.datasets, view, changes_of(wall), page.t)
    gr.Info("\n".join(messages), title=page.t("wall.applied"))
    answer = {name: wall[name] for name in ("run_id", "labels", "is_over", "set", "sent") if name in wall}
    return answer | {"applied": time.time()}


def train_again(page: EvaluatePage, evaluations: Value | None) -> TabRequest:
    """Ask that Train takes the settings of the run that was measured. Raises SpecError where there is none."""
    view = page.services.runs.get(RunId(str((evaluations or {}).get("chosen") or "")))
    run = trained_run(view.spec, page.services.runs)
    if not run:
        raise SpecError(page.t("evaluate.no_run"), hint=page.t("evaluate.no_run.hint"))
    return run, time.time()


def take(page: EvaluatePage, request: TabRequest | None) -> list[Any]:
    """Fill the form for a run that another tab wants to see measured: beside what it was trained from, on its rows."""
    offered = present_choices(page.services, page.t)
    if request is None:
        return [gr.skip()] * (5 + MOST_CONTESTANTS)
    spec = page.services.runs.get(RunId(request[0])).spec
    models = [request[0], spec.model.base, ""]
    names = _datasets(page)
    own = [share.name for share in spec.data.datasets if share.name in names]
    return [
        gr.Radio(value="quality"),
        *(_model(page, offered, model, number, "quality") for number, model in enumerate(models)),
        gr.Dropdown(choices=names, value=next(iter(own), next(iter(names), None))), "validation", 0, [],
    ]  # fmt: skip


def _model(page: EvaluatePage, offered: list[tuple[str, str]], wanted: str, number: int, check: Check) -> Any:
    known = wanted if wanted in {reference for _, reference in offered} else None if number == 0 else ""
    choices = offered if number == 0 else [(page.t("play.none"), ""), *offered]
    return gr.Dropdown(choices=choices, value=known, visible=number < CHECKPOINTS_OF.get(check, 1))


def _datasets(page: EvaluatePage) -> list[str]:
    """Every dataset, newest first; the probe set has a check of its own and comes last."""
    names = [manifest.name for manifest in page.services.datasets.manifests()]
    return sorted(names, key=lambda name: name == PROBES)


def _refuse_unknown(page: EvaluatePage, models: list[str]) -> None:
    """A path that a browser made up may not reach a loader."""
    known = {reference for _, reference in present_choices(page.services, page.t)}
    unknown = [model for model in models if model not in known]
    if unknown:
        raise NotFoundError(page.t("play.gone", model=", ".join(map(str, unknown))), hint=page.t("evaluate.gone.hint"))
