"""Runs: watch them live, compare their curves, stop, delete, annotate and repeat them. All is read from the store."""

import html
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.catalog.checkpoints import resumable_names
from backend.errors import NotFoundError, StudioError
from backend.ids import RunId
from backend.runs.folder import StopMode
from backend.store.runs import MAX_NAME, MAX_NOTES
from backend.store.views import RunView
from studio.pages.runs.components import (
    run_answers,
    run_chart,
    run_devices,
    run_list,
    run_log,
    run_rollouts,
    run_tiles,
    settings_table,
)
from studio.pages.runs.settings import settings_of
from studio.services import Services
from studio.ui.components import card_head, page_head
from studio.ui.events import act, refresh
from studio.ui.i18n import Translate
from studio.ui.shared_state import SharedState, TabRequest

VERBS = {
    "stop_save": "secondary", "stop_now": "stop", "unqueue": "stop", "playground": "primary", "measure": "secondary",
    "resume": "secondary",
    "again": "secondary", "delete": "stop",
}  # fmt: skip
ASK_AGAIN = "() => window.studio.watcher.soon()"  # the list shows at once what was done
ChatTarget = dict[str, Any]  # the value of the list: {id, state, has_model}
SHOWN_NOTES = 200  # characters of somebody else's, in a toast


@dataclass(frozen=True, slots=True)
class RunsPage:
    """What the handlers of this tab share."""

    services: Services
    t: Translate


@dataclass(frozen=True, slots=True)
class ShownRun:
    """The run that is shown, and the texts that the visitor saw of it before typing."""

    run_id: str = ""
    name: str = ""
    notes: str = ""


@dataclass(frozen=True, slots=True)
class RunControls:
    """What is shown of the chosen run besides its live numbers, in the order `show` returns it."""

    name: gr.Textbox
    notes: gr.Textbox
    settings: gr.HTML
    buttons: dict[str, gr.Button]  # by verb
    details: gr.Column

    @property
    def all(self) -> list[Any]:
        """Every one, in order."""
        return [self.name, self.notes, self.settings, *self.buttons.values(), self.details]


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = RunsPage(services, t)
    page_head(t("runs.title"), t("runs.about"))
    with gr.Row(equal_height=False, elem_classes="runs-columns"):
        with gr.Column(scale=4, min_width=300), gr.Column(elem_classes="card"):
            card_head(t("runs.list"))
            run_devices(t)
            runs = run_list(t)
        with gr.Column(scale=8, min_width=320):
            controls, keep, sure = _chosen_run(t)
    shown = gr.State(ShownRun())

    chosen = refresh(runs.change, partial(show, page), [runs, shown], [shown, *controls.all])
    refresh(chosen.then, hide_question, None, sure.box)
    refresh(shared.run_id.change, choose, shared.run_id, runs)
    buttons = controls.buttons
    _then_ask(act(buttons["stop_save"].click, partial(stop, page, "save"), runs, t=t))
    _then_ask(act(buttons["stop_now"].click, partial(stop, page, "now"), runs, t=t))
    _then_ask(act(buttons["unqueue"].click, partial(stop, page, "now"), runs, t=t))
    texts = [controls.name, controls.notes]
    _then_ask(act(keep.click, partial(annotate, page), [runs, shown, *texts], [shown, *texts], t=t))
    act(buttons["measure"].click, partial(measure, page), runs, shared.evaluation, t=t)
    act(buttons["playground"].click, partial(open_in_playground, page), runs, shared.checkpoint, t=t)
    _then_ask(act(buttons["resume"].click, partial(resume, page), runs, shared.run_id, t=t))
    act(buttons["again"].click, partial(train_again, page), runs, shared.rerun, t=t)
    act(buttons["delete"].click, partial(ask_to_delete, page), runs, [sure.question, sure.box], t=t)
    refresh(sure.no.click, hide_question, None, sure.box)
    _then_ask(act(sure.yes.click, partial(delete, page), runs, sure.box, t=t))


@dataclass(frozen=True, slots=True)
class DeleteQuestion:
    """The question before a run is deleted."""

    box: gr.Column
    question: gr.Textbox
    yes: gr.Button
    no: gr.Button


def _chosen_run(t: Translate) -> tuple[RunControls, gr.Button, DeleteQuestion]:
    """The right column: numbers and buttons, curves, log, settings, name and notes."""
    with gr.Column(elem_classes="card"):
        run_tiles(t)
        with gr.Row(elem_classes="actions"):
            buttons = {verb: _button(verb, look, t) for verb, look in VERBS.items()}
        with gr.Column(visible=False, elem_classes="sure") as box:
            question = gr.Textbox(show_label=False, container=False, interactive=False, lines=1, max_lines=4,
                                  elem_id="delete-question")  # fmt: skip
            with gr.Row(elem_classes="actions"):
                yes = gr.Button(t("run.delete_yes"), size="sm", variant="stop", elem_id="delete-yes")
                no = gr.Button(t("run.delete_no"), size="sm", elem_id="delete-no")
    with gr.Column(elem_classes="card"):
        run_chart(t)
    with gr.Column(visible=False) as details:
        with gr.Column(elem_classes="card"):
            run_rollouts(t)
        with gr.Column(elem_classes="card"):
            run_answers(t)
        with gr.Column(elem_classes="card"):
            run_log(t)
        with gr.Column(elem_classes="card"), gr.Accordion(t("run.settings"), open=False):
            settings = settings_table(t)
        with gr.Column(elem_classes="card"):
            card_head(t("run.details"))
            name = gr.Textbox(label=t("run.name"), max_lines=1, max_length=MAX_NAME, elem_id="run-rename")
            notes = gr.Textbox(label=t("run.notes"), placeholder=t("run.notes_placeholder"), lines=3,
                               max_length=MAX_NOTES, elem_id="run-notes")  # fmt: skip
            keep = gr.Button(t("run.keep"), size="sm", elem_id="run-keep")
    return RunControls(name, notes, settings, buttons, details), keep, DeleteQuestion(box, question, yes, no)


def choose(run_id: str) -> ChatTarget:
    """Point the list at a run that another tab chose."""
    return {"id": run_id}


def show(page: RunsPage, choice: ChatTarget, shown: ShownRun) -> list[Any]:
    """Show the chosen run; while it stays the same one, leave what the person may be typing alone."""
    view = _found(page, choice)
    if view is None:
        return [ShownRun(), "", "", {}, *[gr.Button(visible=False)] * len(VERBS), gr.Column(visible=False)]
    is_same = view.id == shown.run_id
    seen, texts = (shown, [gr.skip()] * 2) if is_same else (_shown_run(view), [view.name, view.notes])
    settings = settings_of(view.spec, page.t)  # never skipped: an update would take an island's words away
    is_at_work = view.state in ("starting", "running")
    possible = {
        "stop_save": is_at_work,
        "stop_now": view.is_active,
        "unqueue": view.state == "queued",
        "playground": view.is_over and view.folder.has_final_model,
        "measure": view.is_over and view.folder.has_final_model,
        "resume": view.is_over and bool(resumable_names(view.folder)),
        "again": view.spec.kind in ("sft", "grpo"),  # dry runs and evaluations begin on pages of their own
        "delete": view.is_over,
    }
    return [seen, *texts, settings, *(gr.Button(visible=possible[verb]) for verb in VERBS), gr.Column(visible=True)]


def stop(page: RunsPage, mode: StopMode, choice: ChatTarget) -> None:
    """Ask the run to end. Raises LaunchError where that cannot be done."""
    view = _chosen(page, choice)
    page.services.launcher.stop(view.id, mode)
    if view.state != "queued":
        saves = mode == "save"
        gr.Info(
            page.t("run.stopping" if saves else "run.stopping_now"),
            title=page.t("run.stop_save" if saves else "run.stop_now"),
        )


def annotate(page: RunsPage, choice: ChatTarget, shown: ShownRun, name: str, notes: str) -> list[Any]:
    """Keep what the person changed of the run's name and notes; what somebody else changed meanwhile is told first.

    Returns:
        What the visitor has now seen, name, notes: theirs where this person changed the other text only.

    Raises:
        StudioError: a text does not fit.
    """
    view, runs = _chosen(page, choice), page.services.runs
    before = shown if shown.run_id == view.id else _shown_run(view)
    texts = ((before.name, view.name, name), (before.notes, view.notes, notes))
    kept_name, kept_notes = (now if typed == seen else typed for seen, now, typed in texts)
    is_theirs = any(now not in (seen, typed) and typed != seen for seen, now, typed in texts)
    if is_theirs or not runs.annotate(view.id, kept_name, kept_notes, seen=(view.name, view.notes)):
        view = runs.get(view.id)
        theirs = {"name": html.escape(view.name), "notes": html.escape(view.notes[:SHOWN_NOTES])}
        gr.Warning(page.t("run.changed_elsewhere.said", **theirs), title=page.t("run.changed_elsewhere"), duration=20)
        return [_shown_run(view), gr.skip(), gr.skip()]
    gr.Info(page.t("run.kept"), title=page.t("run.details"))
    view = runs.get(view.id)
    return [_shown_run(view), view.name, view.notes]


def _shown_run(view: RunView) -> ShownRun:
    return ShownRun(str(view.id), view.name, view.notes)


def open_in_playground(page: RunsPage, choice: ChatTarget) -> TabRequest:
    """Ask that Playground takes the run's final model."""
    return str(_chosen(page, choice).id), time.time()


def measure(page: RunsPage, choice: ChatTarget) -> TabRequest:
    """Ask that Evaluate takes the run, beside what it was trained from."""
    return str(_chosen(page, choice).id), time.time()


def resume(page: RunsPage, choice: ChatTarget) -> str:
    """Go on from the newest checkpoint as a new run, and show that one. Raises StudioError where that cannot be."""
    return str(page.services.launcher.resume(_chosen(page, choice).id))


def train_again(page: RunsPage, choice: ChatTarget) -> TabRequest:
    """Ask that Train takes the run's settings."""
    return str(_chosen(page, choice).id), time.time()


def ask_to_delete(page: RunsPage, choice: ChatTarget) -> tuple[str, Any]:
    """Ask once more, naming what would be lost."""
    return page.t("run.delete_sure", name=_chosen(page, choice).name), gr.Column(visible=True)


def delete(page: RunsPage, choice: ChatTarget) -> Any:
    """Delete the run for good. Raises StudioError where it may not be."""
    page.services.launcher.delete(_chosen(page, choice).id)
    return hide_question()


def hide_question() -> Any:
    """Put the question away."""
    return gr.Column(visible=False)


def _button(verb: str, look: Any, t: Translate) -> gr.Button:
    name = f"run-{verb.replace('_', '-')}"
    return gr.Button(t(f"run.{verb}"), size="sm", variant=look, visible=False, elem_id=name)


def _then_ask(done: Any) -> None:
    done.then(None, None, None, js=ASK_AGAIN, api_visibility="private")


def _chosen(page: RunsPage, choice: ChatTarget) -> RunView:
    view = _found(page, choice)
    if view is None:
        raise StudioError(page.t("run.choose_first"), hint=page.t("run.choose_hint"))
    return view


def _found(page: RunsPage, choice: ChatTarget) -> RunView | None:
    """The run that the list's value names; anything else that a browser may send names none."""
    run_id = choice.get("id") if isinstance(choice, dict) else None
    try:
        return page.services.runs.get(RunId(run_id)) if isinstance(run_id, str) and run_id else None
    except NotFoundError:
        return None
