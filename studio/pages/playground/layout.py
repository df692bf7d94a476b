"""Playground: the same question to two or three models at once, side by side; or blind, to vote between two."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.errors import NotFoundError
from backend.spec.sampling import ChatSettings
from studio.models import present_choices
from studio.pages.playground.blind_layout import blind_panel
from studio.pages.playground.components import answers, image_strip, kept_list, talk_link
from studio.pages.playground.context import COLUMNS, PlaygroundPage, open_page, show_mode
from studio.pages.playground.conversation import Talk, answer, ask, ask_again, clear_all, stop_all
from studio.pages.playground.history import delete_talk, finish, list_view, model_dropdown, open_talk
from studio.pages.playground.settings import SEED, settings_controls
from studio.pages.playground.storage import TalkPlace
from studio.services import Services
from studio.ui.components import card_head, page_head
from studio.ui.events import act, refresh, stream
from studio.ui.i18n import Translate
from studio.ui.shared_state import SharedState, TabRequest, select_tab
from studio.web.images import chat_images_folder, take_images

STRIP = 12  # example images
Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talking:
    """What is shown of a conversation, and what the page keeps of it for one visitor."""

    models: list[gr.Dropdown]
    columns: list[gr.Column]
    views: list[gr.HTML]
    box: gr.MultimodalTextbox
    stop: gr.Button
    again: gr.Button
    clear: gr.Button
    saved: gr.HTML
    kept: gr.HTML
    dataset: gr.Dropdown
    strip: gr.HTML
    place: gr.State
    settings: gr.State
    talks: list[gr.State]

    @property
    def cleared(self) -> list[Any]:
        """What a new conversation begins with, as `clear_all` gives it."""
        return [self.box, self.stop, self.again, self.place, self.saved, *self.talks, *self.views]


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = open_page(services, t)
    page_head(t("play.title"), t("play.about"))
    with gr.Column(elem_classes="card mode"):
        switch = gr.Checkbox(False, label=t("blind.switch"), info=t("blind.switch.help"), elem_id="blind-switch")
    with gr.Column(elem_classes="stack") as above:
        asking = _asking(t)
    blind = blind_panel(t)
    knobs = settings_controls(t)
    with gr.Column(elem_classes="stack") as below:
        talking = _examples(t, *asking)
    modes = [switch, above, below, blind.box]

    running = _wire_asking(page, talking, knobs)
    _wire_columns(page, talking, shared, modes, running)
    refresh(switch.input, _switched, switch, modes)
    refresh(switch.input, partial(blind.load, page), blind.choices, blind.choices)
    shown = [talking.place, talking.box, talking.stop, talking.again, talking.saved, *modes, *talking.models,
             *talking.talks, *talking.views, *talking.columns, *knobs]  # fmt: skip
    linked = act(partial(shared.link.talk, cancels=running), partial(open_talk, page), shared.link, shown, t=t)
    act(partial(talking.kept.open, cancels=running), partial(open_talk, page), talking.kept, shown, t=t)
    act(talking.kept.remove, partial(delete_talk, page), [talking.kept, talking.place],
        [talking.kept, talking.place, talking.saved], t=t)  # fmt: skip
    for event in (linked, *blind.wire(page, knobs, shared.link, modes)):
        refresh(event.success, partial(select_tab, "playground"), None, shared.tabs)


def _wire_asking(page: PlaygroundPage, talking: Talking, knobs: list[Any]) -> list[Any]:
    """Ask, answer again, stop, begin anew. Returns the events that stream answers, for others to cancel."""
    t, both = page.t, [*talking.models, *talking.talks, *knobs]
    begun = [talking.box, talking.stop, talking.again, talking.place, talking.settings, *talking.talks, *talking.views]
    question = act(talking.box.submit, partial(ask, page), [talking.place, talking.box, *both], begun, t=t)
    redone = act(talking.again.click, partial(ask_again, page), [talking.place, *both], [knobs[SEED], *begun], t=t)
    running = [
        stream(event.success, partial(answer, page), [talk, model, talking.settings], [talk, view], t=t)
        for event in (question, redone)
        for talk, model, view in zip(talking.talks, talking.models, talking.views, strict=True)
    ]
    ends = [talking.place, talking.settings, *talking.views, *talking.models, *talking.talks]
    rests = [talking.box, talking.stop, talking.again, talking.saved, talking.kept]
    for event in running:
        refresh(event.then, partial(finish, page), ends, rests)
    stopped = refresh(
        partial(talking.stop.click, cancels=running), partial(stop_all, page), talking.views, talking.views
    )
    refresh(stopped.then, partial(finish, page), ends, rests)
    refresh(partial(talking.clear.click, cancels=running), clear_all, None, talking.cleared)
    for model, column, talk in zip(talking.models, talking.columns, talking.talks, strict=True):
        refresh(partial(model.input, cancels=running), clear_all, None, talking.cleared)
        refresh(model.change, show_column, [model, talk], column)
    return running


def _wire_columns(
    page: PlaygroundPage, talking: Talking, shared: SharedState, modes: list[Any], running: list[Any]
) -> None:
    """What there is to choose from, and what another tab chose."""
    choices = [*talking.models, talking.dataset]
    refresh(talking.views[0].shown, partial(load, page), [talking.place, *choices], [*choices, talking.kept])
    refresh(talking.dataset.change, partial(show_strip, page), talking.dataset, talking.strip)
    act(talking.strip.input, partial(add_example, page), [talking.box, talking.strip], talking.box, t=page.t)
    chosen = [*talking.models, *talking.cleared, *modes]
    taken = refresh(
        partial(shared.checkpoint.change, cancels=running), partial(choose, page), shared.checkpoint, chosen
    )
    refresh(taken.then, partial(select_tab, "playground"), None, shared.tabs)


def _asking(t: Translate) -> tuple[list[Any], list[Any], list[Any], tuple[Any, ...]]:
    """The models, a column for each one's answers, the question: the third column shows once a third is chosen."""
    with gr.Column(elem_classes="card"), gr.Row(elem_classes="knobs"):
        models = [
            gr.Dropdown([], label=t("play.model", number=number), elem_id=f"model-{number}", min_width=200)
            for number in range(1, COLUMNS + 1)
        ]
    columns, views = [], []
    with gr.Row(equal_height=True, elem_classes="answer-columns"):
        for number in range(1, COLUMNS + 1):
            with gr.Column(elem_classes="card", min_width=280, visible=number < COLUMNS) as column:
                views.append(answers(t, number))
            columns.append(column)
    with gr.Column(elem_classes="card asking"):
        box = gr.MultimodalTextbox(
            show_label=False, label=t("play.prompt"), placeholder=t("play.placeholder"), sources=["upload"],
            file_types=["image"], file_count="multiple", submit_btn=True, lines=1, max_lines=8, elem_id="prompt",
        )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            stop = gr.Button(t("play.stop"), variant="stop", size="sm", visible=False, elem_id="stop-answers")
            again = gr.Button(t("play.again"), size="sm", visible=False, elem_id="answer-again")
            clear = gr.Button(t("play.clear"), size="sm", elem_id="clear-answers")
            gr.Markdown(t("play.same"), elem_classes="hint same")
        saved = talk_link(t)
    return models, columns, views, (box, stop, again, clear, saved)


def _examples(t: Translate, models: list[Any], columns: list[Any], views: list[Any], controls: Any) -> Talking:
    """Images to ask about, and the conversations that were kept."""
    with gr.Column(elem_classes="card"):
        card_head(t("play.examples"))
        dataset = gr.Dropdown([], label=t("play.examples.of"), elem_id="example-dataset")
        strip = image_strip(t)
    with gr.Column(elem_classes="card"):
        card_head(t("play.kept"))
        kept = kept_list(t, "play", elem_id="kept-talks")
    box, stop, again, clear, saved = controls
    talks = [gr.State(Talk()) for _ in range(COLUMNS)]
    return Talking(models, columns, views, box, stop, again, clear, saved, kept, dataset, strip,
                   gr.State(TalkPlace()), gr.State(ChatSettings()), talks)  # fmt: skip


def load(page: PlaygroundPage, place: TalkPlace, *shown: str | None) -> list[Any]:
    """Offer what is there now; at first the newest run beside the first model."""
    offered = present_choices(page.services, page.t)
    references = [reference for _, reference in offered]
    models, dataset = shown[:COLUMNS], shown[COLUMNS]
    if not any(models) and not place.id:
        models = (*references[:2], *[""] * COLUMNS)
    names = [manifest.name for manifest in page.services.datasets.manifests()]
    return [
        *(model_dropdown(page, offered, model) for model in models[:COLUMNS]),
        gr.Dropdown(choices=names, value=dataset if dataset in names else next(iter(names), None)),
        list_view(page, offered),
    ]


def choose(page: PlaygroundPage, request: TabRequest | None) -> list[Any]:
    """Put what another tab chose beside the model that it was trained from, and begin a new conversation."""
    changed = [
        *clear_all(),
        *show_mode(is_blind=False),
    ]  # values throughout: Gradio draws what it skipped without words
    if not request:
        return [gr.skip()] * (COLUMNS + len(changed))
    reference, offered = request[0], present_choices(page.services, page.t)
    run_id = reference.partition("/")[0]
    try:
        base = page.services.runs.get(run_id).spec.model.base
    except NotFoundError:
        base = ""
    return [*(model_dropdown(page, offered, model) for model in (base, reference, "")), *changed]


def show_column(model: str | None, talk: Talk) -> Any:
    """Show the column of a model that is chosen, or that said something before it was gone."""
    return gr.Column(visible=bool(model) or bool(talk.turns))


def show_strip(page: PlaygroundPage, dataset: str | None) -> Value:
    """Show some images of a dataset, of its validation rows where there are any: those no run has learned from."""
    if not dataset:
        return {}
    store = page.services.datasets
    rows = store.page(dataset, count=STRIP, split="validation").rows or store.page(dataset, count=STRIP).rows
    names = list(dict.fromkeys(path.removeprefix("images/") for row in rows for path in row.images))[:STRIP]
    return {"images": [{"of": f"dataset/{dataset}", "name": name} for name in names]}


def add_example(page: PlaygroundPage, box: Value, strip: Value | None) -> Value:
    """Put the clicked example into the question."""
    sent = (strip or {}).get("clicked")
    clicked = sent if isinstance(sent, dict) else {}
    dataset = str(clicked.get("of", "")).removeprefix("dataset/")
    stored = page.services.datasets.image(dataset, f"images/{clicked.get('name', '')}")
    workspace = page.services.workspace
    (name,) = take_images(workspace, [stored], page.t)
    return {"text": box["text"], "files": [*box["files"], str(chat_images_folder(workspace) / name)]}


def _switched(is_blind: bool) -> list[Any]:
    return show_mode(is_blind=is_blind)
