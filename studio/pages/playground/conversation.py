"""One visitor's conversation with each model: asking, streaming answers, and how the page shows it."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from backend.conversation import PLACEHOLDER, Message
from backend.errors import DatasetError, NotFoundError, SpecError, StudioError
from backend.spec.sampling import ChatSettings
from launcher.chat import ChatRequest
from studio.pages.playground.context import COLUMNS, PlaygroundPage
from studio.pages.playground.settings import refuse_marks, settings_of
from studio.pages.playground.storage import TalkPlace, new_id
from studio.ui.views import turns_view
from studio.web.images import chat_images_folder, take_images

View = dict[str, Any]
UPDATE_S = 0.05  # between two updates of a column
Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """Turns so far, and the names of the images that their `<image>`s stand for, in order."""

    turns: tuple[Message, ...] = ()
    images: tuple[str, ...] = ()

    def with_question(self, text: str, images: tuple[str, ...] = ()) -> "Talk":
        """Add a question; behind one that was never answered it becomes part of that one, so that turns alternate."""
        content = PLACEHOLDER * len(images) + text
        turns = self.turns
        if turns and turns[-1].role == "user":
            content, turns = f"{turns[-1].content}\n{content}", turns[:-1]
        return Talk((*turns, Message(role="user", content=content)), (*self.images, *images))

    def answered(self, text: str) -> "Talk":
        """Add an answer; an empty one leaves the question open."""
        return replace(self, turns=(*self.turns, Message(role="assistant", content=text))) if text else self

    def unanswered(self) -> "Talk":
        """Take the last answer back, so that its question can be answered again."""
        is_answered = self.turns and self.turns[-1].role == "assistant"
        return replace(self, turns=self.turns[:-1]) if is_answered else self

    def view(self, status: str = "", *, is_busy: bool = False, failure: tuple[str, str] | None = None) -> View:
        """The conversation as its column shows it; `failure` is what went wrong and what to do."""
        images = [{"of": "asked", "name": name} for name in self.images]
        turns = self.turns
        if turns and turns[-1].role == "user" and not (is_busy or failure):
            turns = (*turns, Message(role="assistant", content=""))  # it was asked and said nothing
        shown = {"message": failure[0], "hint": failure[1]} if failure else None
        return {"turns": turns_view(turns, images), "status": status, "busy": is_busy, "failure": shown}


def ask(page: PlaygroundPage, place: TalkPlace, box: Value, *rest: Any) -> list[Any]:
    """Add the question to the conversation of every chosen model. Raises StudioError where it cannot be asked."""
    models, talks, knobs = rest[:COLUMNS], rest[COLUMNS : 2 * COLUMNS], rest[2 * COLUMNS :]
    text = box["text"].strip()
    _refuse_no_model(page, models)
    if not text and not box["files"]:
        raise DatasetError(page.t("play.no_question"), hint=page.t("play.no_question.hint"))
    refuse_marks(text, page.t)
    settings = settings_of(knobs, page.t)
    images = take_images(page.services.workspace, [Path(file) for file in box["files"]], page.t)
    talks_now = [talk.with_question(text, images) if model else talk for talk, model in zip(talks, models, strict=True)]
    return [gr.MultimodalTextbox(value=None, interactive=False), *_begun(page, place, settings, models, talks_now)]


def ask_again(page: PlaygroundPage, place: TalkPlace, *rest: Any) -> list[Any]:
    """Take the last answers back, to be drawn anew; where chance plays a part, with the next seed.

    Raises:
        StudioError: nothing was answered yet, or a knob is out of range.
    """
    models, talks, knobs = rest[:COLUMNS], rest[COLUMNS : 2 * COLUMNS], rest[2 * COLUMNS :]
    _refuse_no_model(page, models)
    settings = settings_of(knobs, page.t)
    talks_now = [talk.unanswered() if model else talk for talk, model in zip(talks, models, strict=True)]
    if not any(talk.turns for talk in talks_now):
        raise SpecError(page.t("play.nothing_again"), hint=page.t("play.empty_help"))
    if settings.temperature > 0:
        settings = settings.with_next_seed()
    return [settings.seed, gr.MultimodalTextbox(interactive=False), *_begun(page, place, settings, models, talks_now)]


def answer(page: PlaygroundPage, talk: Talk, model: str | None, settings: ChatSettings) -> Iterator[tuple[Any, Any]]:
    """Stream one model's answer into its column. What goes wrong is said there; the other columns go on."""
    if not model or not talk.turns or talk.turns[-1].role != "user":
        yield gr.skip(), gr.skip()
        return
    text, status = "", ""
    try:
        question = _question(page, talk, model, settings)
        updated_at = 0.0
        with closing(page.services.chats.ask(question)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                text += piece.text
                if piece.is_last or time.monotonic() - updated_at >= UPDATE_S:
                    updated_at = time.monotonic()
                    status = _status(page, piece.tokens, piece.seconds, piece.reason)
                    so_far = talk.answered(text)
                    yield so_far, so_far.view(status, is_busy=not piece.is_last)
    except StudioError as error:
        so_far = talk.answered(text)
        yield so_far, so_far.view(status, failure=(error.message, error.hint))


def stop_all(page: PlaygroundPage, *views: Value) -> list[Any]:
    """What is left after the answers were cut off: they stay as far as they came."""
    return [
        {**view, "busy": False, "status": page.t("play.stopped")} if (view or {}).get("busy") else gr.skip()
        for view in views
    ]


def clear_all() -> list[Any]:
    """Start new conversations: nothing is busy, nothing is kept under a link yet."""
    return [*rested(has_answer=False), TalkPlace(), {}, *[Talk() for _ in range(COLUMNS)],
            *[Talk().view() for _ in range(COLUMNS)]]  # fmt: skip


def rested(*, has_answer: bool) -> list[Any]:
    """The question's box and its buttons while no model answers."""
    return [gr.MultimodalTextbox(interactive=True), gr.Button(visible=False), gr.Button(visible=has_answer)]


def refuse_gone(page: PlaygroundPage, model: str) -> None:
    """Raise NotFoundError for a model that is not on this machine, or that a browser made up."""
    if model not in {choice.reference for choice in page.services.chats.choices()}:
        raise NotFoundError(page.t("play.gone", model=model), hint=page.t("play.gone.hint"))


def _begun(
    page: PlaygroundPage, place: TalkPlace, settings: ChatSettings, models: tuple[Any, ...], talks: list[Talk]
) -> list[Any]:
    """What shows that answers are on their way: buttons, place and settings, conversations, columns."""
    if place.id:
        page.talks.lay_out(place.id)  # a page may be open for longer than a day
    views = [
        talk.view(page.t("play.waiting"), is_busy=True) if model else talk.view()
        for talk, model in zip(talks, models, strict=True)
    ]
    place = place if place.id else TalkPlace(new_id())
    return [gr.Button(visible=True), gr.Button(visible=False), place, settings, *talks, *views]


def _refuse_no_model(page: PlaygroundPage, models: tuple[Any, ...]) -> None:
    if not any(models):
        raise NotFoundError(page.t("play.no_model"), hint=page.t("play.no_model.hint"))


def _question(page: PlaygroundPage, talk: Talk, model: str, settings: ChatSettings) -> ChatRequest:
    refuse_gone(page, model)
    images = tuple(chat_images_folder(page.services.workspace) / name for name in talk.images)
    return ChatRequest(model, talk.turns, images, settings)


def _status(page: PlaygroundPage, tokens: int, seconds: float, reason: str) -> str:
    speed = f"{(tokens - 1) / seconds:.1f}" if tokens > 1 and seconds > 0 else "–"
    message = page.t("play.status", tokens=tokens, speed=speed)
    return f"{message} · {page.t(f'play.reason.{reason}')}" if reason else message
