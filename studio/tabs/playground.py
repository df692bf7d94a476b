"""Playground: the same question to two or three models at once, side by side."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from backend.conversation import PLACEHOLDER
from backend.datasets.checks import CONTROL_TOKENS
from backend.errors import DatasetError, NotFoundError, SpecError, StudioError
from launcher.chat import Question
from studio.i18n import Translate
from studio.islands.headings import card_head, page_head
from studio.islands.playground import answers, picture_strip
from studio.planning.model_choices import present_choices
from studio.services import Services
from studio.shared import Shared, Wish, opened
from studio.talks import Talk
from studio.uploads.asked_pictures import asked_folder, take_pictures
from studio.wiring import act, refresh, stream

COLUMNS = 3
STRIP = 12  # example pictures
MOST_TOKENS = 2048
UPDATE_S = 0.05  # between two updates of a column
Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """What the handlers of this tab share."""

    services: Services
    t: Translate


def build(services: Services, shared: Shared, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = Page(services, t)
    page_head(t("play.title"), t("play.about"))
    models, columns, views = _columns(t)
    with gr.Column(elem_classes="card asking"):
        box = gr.MultimodalTextbox(
            show_label=False, label=t("play.prompt"), placeholder=t("play.placeholder"), sources=["upload"],
            file_types=["image"], file_count="multiple", submit_btn=True, lines=1, max_lines=8, elem_id="prompt",
        )  # fmt: skip
        with gr.Row(elem_classes="actions"):
            stop = gr.Button(t("play.stop"), variant="stop", size="sm", visible=False, elem_id="stop-answers")
            clear = gr.Button(t("play.clear"), size="sm", elem_id="clear-answers")
            gr.Markdown(t("play.same"), elem_classes="hint same")
        with gr.Accordion(t("play.sampling"), open=False, elem_id="sampling"), gr.Row(elem_classes="knobs"):
            sampling = _sampling_knobs(t)
        card_head(t("play.examples"))
        dataset = gr.Dropdown([], label=t("play.examples.of"), elem_id="example-dataset")
        strip = picture_strip(t)
    talks = [gr.State(Talk()) for _ in range(COLUMNS)]

    asked = act(box.submit, partial(ask, page), [box, *models, *talks], [box, stop, *talks, *views], t=t)
    running = [
        stream(asked.success, partial(answer, page), [talk, model, *sampling], [talk, view], t=t)
        for talk, model, view in zip(talks, models, views, strict=True)
    ]
    for event in running:
        refresh(event.then, rest_if_done, views, [box, stop])
    refresh(partial(stop.click, cancels=running), partial(stop_all, page), views, [box, stop, *views])
    refresh(partial(clear.click, cancels=running), clear_all, None, [box, stop, *talks, *views])
    for model, column in zip(models, columns, strict=True):
        refresh(partial(model.change, cancels=running), clear_all, None, [box, stop, *talks, *views])
        refresh(model.change, show_column, model, column)
    refresh(views[0].shown, partial(load, page), [*models, dataset], [*models, dataset])
    refresh(dataset.change, partial(show_strip, page), dataset, strip)
    act(strip.input, partial(add_example, page), [box, strip], box, t=t)
    taken = refresh(shared.checkpoint.change, partial(choose, page), shared.checkpoint, models)
    refresh(taken.then, partial(opened, "playground"), None, shared.tabs)


def _columns(t: Translate) -> tuple[list[gr.Dropdown], list[gr.Column], list[gr.HTML]]:
    """The models, then a column for each one's answers; the third shows once a third model is chosen."""
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
    return models, columns, views


def _sampling_knobs(t: Translate) -> list[Any]:
    return [
        gr.Number(0, label=t("play.seed"), info=t("play.seed.help"), precision=0, minimum=0, maximum=2**31 - 1,
                  min_width=180, elem_id="seed"),
        gr.Slider(1, MOST_TOKENS, 256, step=1, label=t("play.tokens"), info=t("play.tokens.help"), min_width=180,
                  elem_id="max-tokens"),
        gr.Slider(0, 2, 0, step=0.05, label=t("play.temperature"), info=t("play.temperature.help"), min_width=180,
                  elem_id="temperature"),
    ]  # fmt: skip


def load(page: Page, *shown: str | None) -> list[Any]:
    """Offer what is there now; at first the newest run beside the first model."""
    offered = present_choices(page.services, page.t)
    references = [reference for _, reference in offered]
    models, dataset = shown[:COLUMNS], shown[COLUMNS]
    if not any(models):
        models = (*references[:2], *[""] * COLUMNS)
    names = [manifest.name for manifest in page.services.datasets.manifests()]
    return [
        *(_models(page, offered, model) for model in models[:COLUMNS]),
        gr.Dropdown(choices=names, value=dataset if dataset in names else next(iter(names), None)),
    ]


def choose(page: Page, wish: Wish | None) -> list[Any]:
    """Put what another tab chose beside the model that it was trained from."""
    if not wish:
        return [gr.skip()] * COLUMNS
    reference, offered = wish[0], present_choices(page.services, page.t)
    run_id = reference.partition("/")[0]
    try:
        base = page.services.runs.get(run_id).spec.model.base
    except NotFoundError:
        base = ""
    return [_models(page, offered, model) for model in (base, reference, "")]


def show_column(model: str | None) -> Any:
    """Show the column of a model that is chosen; a page needs at least its own."""
    return gr.Column(visible=bool(model))


def show_strip(page: Page, dataset: str | None) -> Value:
    """Show some pictures of a dataset, held-out ones where there are any: those no run has learned from."""
    if not dataset:
        return {}
    store = page.services.datasets
    rows = store.page(dataset, count=STRIP, split="heldout").rows or store.page(dataset, count=STRIP).rows
    names = list(dict.fromkeys(path.removeprefix("images/") for row in rows for path in row.images))[:STRIP]
    return {"pictures": [{"of": f"dataset/{dataset}", "name": name} for name in names]}


def add_example(page: Page, box: Value, strip: Value | None) -> Value:
    """Put the clicked example into the question."""
    clicked = (strip or {}).get("clicked") or {}
    dataset = str(clicked.get("of", "")).removeprefix("dataset/")
    stored = page.services.datasets.picture(dataset, f"images/{clicked.get('name', '')}")
    workspace = page.services.workspace
    (name,) = take_pictures(workspace, [stored])
    return {"text": box["text"], "files": [*box["files"], str(asked_folder(workspace) / name)]}


def ask(page: Page, box: Value, *rest: Any) -> list[Any]:
    """Add the question to the conversation of every chosen model. Raises StudioError where it cannot be asked."""
    models, talks = rest[:COLUMNS], rest[COLUMNS:]
    text = box["text"].strip()
    if not any(models):
        raise NotFoundError(page.t("play.no_model"), hint=page.t("play.no_model.hint"))
    if not text and not box["files"]:
        raise DatasetError(page.t("play.no_question"), hint=page.t("play.no_question.hint"))
    _refuse_marks(page, text)
    pictures = take_pictures(page.services.workspace, [Path(file) for file in box["files"]])
    asked = [talk.asked(text, pictures) if model else talk for talk, model in zip(talks, models, strict=True)]
    views = [
        talk.view(page.t("play.waiting"), is_busy=True) if model else talk.view()
        for talk, model in zip(asked, models, strict=True)
    ]
    return [gr.MultimodalTextbox(value=None, interactive=False), gr.Button(visible=True), *asked, *views]


def answer(
    page: Page, talk: Talk, model: str | None, seed: int, most_tokens: int, temperature: float
) -> Iterator[tuple[Any, Any]]:
    """Stream one model's answer into its column. What goes wrong is said there; the other columns go on."""
    if not model:
        yield gr.skip(), gr.skip()
        return
    text, status = "", ""
    try:
        question = _question(page, talk, model, (seed, most_tokens, temperature))
        told = 0.0
        with closing(page.services.chats.ask(question)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                text += piece.text
                if piece.is_last or time.monotonic() - told >= UPDATE_S:
                    told = time.monotonic()
                    status = _status(page, piece.tokens, piece.seconds, piece.reason)
                    so_far = talk.answered(text)
                    yield so_far, so_far.view(status, is_busy=not piece.is_last)
    except StudioError as error:
        so_far = talk.answered(text)
        yield so_far, so_far.view(status, failure=(error.message, error.hint))


def _refuse_marks(page: Page, text: str) -> None:
    """What the studio or the model would read as something else than text stays out of the conversations."""
    if PLACEHOLDER in text:
        raise DatasetError(page.t("play.no_placeholder"), hint=page.t("play.no_placeholder.hint"))
    token = CONTROL_TOKENS.search(text)
    if token:
        raise DatasetError(page.t("play.no_control", token=token[0]), hint=page.t("play.no_control.hint"))


def rest_if_done(*views: Value) -> list[Any]:
    """Let the next question be asked once no column is busy."""
    if any((view or {}).get("busy") for view in views):
        return [gr.skip(), gr.skip()]
    return _rested()


def stop_all(page: Page, *views: Value) -> list[Any]:
    """What is left after the answers were cut off: they stay as far as they came."""
    stopped = [
        {**view, "busy": False, "status": page.t("play.stopped")} if (view or {}).get("busy") else gr.skip()
        for view in views
    ]
    return [*_rested(), *stopped]


def clear_all() -> list[Any]:
    """Start new conversations."""
    return [*_rested(), *[Talk() for _ in range(COLUMNS)], *[Talk().view() for _ in range(COLUMNS)]]


def _rested() -> list[Any]:
    return [gr.MultimodalTextbox(interactive=True), gr.Button(visible=False)]


def _models(page: Page, offered: list[tuple[str, str]], wanted: str | None) -> Any:
    known = wanted if wanted in {reference for _, reference in offered} else ""
    return gr.Dropdown(choices=[(page.t("play.none"), ""), *offered], value=known)


def _question(page: Page, talk: Talk, model: str, sampling: tuple[int, int, float]) -> Question:
    seed, most_tokens, temperature = sampling
    if model not in {choice.reference for choice in page.services.chats.choices()}:
        raise NotFoundError(page.t("play.gone", model=model), hint=page.t("play.gone.hint"))
    if not (0 <= seed < 2**31 and 1 <= most_tokens <= MOST_TOKENS and 0 <= temperature <= 2):
        raise SpecError(page.t("play.bad_sampling"), hint=page.t("play.bad_sampling.hint", most=MOST_TOKENS))
    images = tuple(asked_folder(page.services.workspace) / name for name in talk.pictures)
    return Question(model, talk.turns, images, seed=int(seed), max_new_tokens=int(most_tokens), temperature=temperature)


def _status(page: Page, tokens: int, seconds: float, reason: str) -> str:
    speed = f"{(tokens - 1) / seconds:.1f}" if tokens > 1 and seconds > 0 else "–"
    said = page.t("play.status", tokens=tokens, speed=speed)
    return f"{said} · {page.t(f'play.reason.{reason}')}" if reason else said
