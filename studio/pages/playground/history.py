"""Conversations kept and opened again: after each answered turn, by link, from the list."""

import time
from typing import Any

import gradio as gr

from backend.errors import NotFoundError
from backend.spec.sampling import ChatSettings
from studio.models import Choices, present_choices
from studio.pages.playground.context import COLUMNS, PlaygroundPage, show_mode
from studio.pages.playground.conversation import Talk, rested
from studio.pages.playground.settings import values_of
from studio.pages.playground.storage import ColumnRecord, TalkId, TalkPlace, TalkRecord

TITLE = 80  # characters in the list
Value = dict[str, Any]


def finish(page: PlaygroundPage, place: TalkPlace, settings: ChatSettings, *rest: Any) -> list[Any]:
    """Once no column is busy: let the next question be asked, keep what was said, say where it lies."""
    views, models, talks = (rest[start * COLUMNS : (start + 1) * COLUMNS] for start in range(3))
    if any((view or {}).get("busy") for view in views):
        return [gr.skip()] * 5
    has_answer = any(turn.role == "assistant" for talk in talks for turn in talk.turns)
    saved = _keep(page, place, settings, models, talks) if has_answer and place.id else {}
    offered = present_choices(page.services, page.t)
    return [*rested(has_answer=any(talk.turns for talk in talks)), saved, list_view(page, offered)]


def open_talk(page: PlaygroundPage, link: Value | None) -> list[Any]:
    """Show a kept conversation, ready to go on; `asked` is the value of a link or a list.

    Raises:
        NotFoundError: there is none of that id, or its file is damaged.
    """
    record = page.talks.find(requested_id(link))
    if not isinstance(record, TalkRecord):
        raise NotFoundError(page.t(f"play.talk_{record}"), hint=page.t("play.talk_hint"))
    page.talks.lay_out(record.id)
    offered = present_choices(page.services, page.t)
    columns = [*record.columns, *[ColumnRecord(model="", turns=(), images=())] * COLUMNS][:COLUMNS]
    talks = [Talk(column.turns, column.images) for column in columns]
    references = {reference for _, reference in offered}
    missing_models = [column.model if column.model not in references else "" for column in columns]
    notices = [page.t("play.was_said_by", model=model) if model and talk.turns else ""
            for model, talk in zip(missing_models, talks, strict=True)]  # fmt: skip
    return [
        TalkPlace(record.id, {record.saved_at}), *rested(has_answer=True),
        {"id": record.id, "said": page.t("play.saved")},
        *show_mode(is_blind=False),
        *(model_dropdown(page, offered, column.model) for column in columns),
        *talks,
        *(talk.view(status) for talk, status in zip(talks, notices, strict=True)),
        *(gr.Column(visible=number < 2 or bool(talk.turns)) for number, talk in enumerate(talks)),
        *values_of(record.settings),
    ]  # fmt: skip


def delete_talk(page: PlaygroundPage, kept: Value | None, place: TalkPlace) -> list[Any]:
    """Delete what was clicked in the list; if that conversation is open, it goes on under a new link."""
    wanted = requested_id(kept)
    page.talks.delete(wanted)
    is_open = wanted == place.id
    return [
        list_view(page, present_choices(page.services, page.t)),
        TalkPlace() if is_open else gr.skip(),
        {} if is_open else gr.skip(),
    ]


def requested_id(link: Value | None) -> object:
    """The id that a link or a click in a list asks for; a browser may send anything."""
    value = link if isinstance(link, dict) else {}
    return value.get("clicked") or value.get("id")


def list_view(page: PlaygroundPage, offered: Choices) -> Value:
    """The kept conversations, newest first; models that are `offered` go by the names they have there."""
    names = {reference: label for label, reference in offered}
    items = []
    for record in page.talks.newest():
        moment = page.moment(record.saved_at)
        models = [names.get(column.model, column.model) for column in record.columns if column.turns]
        title = record.title[:TITLE] or page.t("play.kept.no_words")
        items.append({"id": record.id, "title": title, "said": " · ".join([moment, *models])})
    return {"items": items}


def model_dropdown(page: PlaygroundPage, offered: Choices, wanted: str | None) -> Any:
    """A column's choice of models, with `wanted` chosen where it can be."""
    references = wanted if wanted in {reference for _, reference in offered} else ""
    return gr.Dropdown(choices=[(page.t("play.none"), ""), *offered], value=references)


def _keep(page: PlaygroundPage, place: TalkPlace, settings: ChatSettings, models: Any, talks: Any) -> Value:
    """Write the conversation; what the page says of that."""
    before = page.talks.find(place.id)
    references = before.columns if isinstance(before, TalkRecord) else ()
    names = [
        model or (references[number].model if talk.turns and number < len(references) else "")
        for number, (model, talk) in enumerate(zip(models, talks, strict=True))
    ]  # a model that is gone keeps what it said
    now = time.time()
    record = TalkRecord(
        id=TalkId(place.id),
        begun_at=before.begun_at if isinstance(before, TalkRecord) else now,
        saved_at=now,
        settings=settings,
        columns=tuple(
            ColumnRecord(model=name, turns=talk.turns, images=talk.images) if name or talk.turns
            else ColumnRecord(model="", turns=(), images=())
            for name, talk in zip(names, talks, strict=True)
        ),
    )  # fmt: skip
    try:
        page.talks.save(place, record)
    except OSError as error:
        return {"failure": page.t("play.not_saved", reason=error.strerror or str(error))}
    return {"id": place.id, "said": page.t("play.saved_apart" if place.is_apart else "play.saved")}
