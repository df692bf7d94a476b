"""Conversations that are kept: whole, with their images, opened again by an id that nobody guesses."""

import os
from dataclasses import replace
from pathlib import Path

import gradio as gr
import httpx
import pytest
from PIL import Image
from pydantic import ValidationError

from backend.conversation import Message
from backend.errors import NotFoundError, SpecError
from backend.settings import Workspace
from backend.spec.sampling import ChatSettings
from backend.store.rebuild import unknown_folders
from studio.pages.playground.context import PlaygroundPage, open_page
from studio.pages.playground.conversation import Talk, answer, ask, ask_again
from studio.pages.playground.history import delete_talk, finish, list_view, open_talk
from studio.pages.playground.settings import KNOBS, settings_of, values_of
from studio.pages.playground.storage import TalkPlace, TalkRecord, TalkStore, is_id, new_id
from studio.services import build_services
from studio.ui.i18n import translator
from studio.web.background import KEEP_UPLOADS_S, remove_old_uploads
from studio.web.images import chat_image, chat_images_folder
from tests.fakes.fake_chats import FakeChats

PLAIN = ChatSettings()
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def page(tmp_path: Path) -> PlaygroundPage:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    services = replace(build_services(workspace), chats=FakeChats("demo", "other"))  # type: ignore[arg-type]
    return open_page(services, translator("en"))


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.new("RGB", (56, 56), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def converse(
    page: PlaygroundPage,
    *,
    models: tuple[str, ...] = ("demo", "other", ""),
    files: tuple[str, ...] = (),
    text: str = "What is it?",
    settings: ChatSettings = PLAIN,
) -> tuple[str, list[Talk], list[object]]:
    """One question, answered by every model and kept: the conversation's id, its sides, what the page shows at last."""
    said = ask(page, TalkPlace(), {"text": text, "files": list(files)}, *models, *[Talk()] * 3, *values_of(settings))
    place, asked_in, talks = said[3], said[4], said[5:8]
    assert asked_in == settings
    for number, model in enumerate(models):
        for talk, _ in answer(page, talks[number], model, settings):
            talks[number] = talk if isinstance(talk, Talk) else talks[number]
    shown = finish(page, place, settings, *[{}] * 3, *models, *talks)
    return place.id, talks, shown


def go_on(page: PlaygroundPage, place: TalkPlace, talks: list[Talk], text: str) -> list[object]:
    """The next question to `demo`, from a page that has opened the conversation, and its answer; what is shown then."""
    said = ask(page, place, {"text": text, "files": []}, "demo", "", "", *talks, *values_of(PLAIN))
    first, *others = said[5:8]
    *_, (first, _) = answer(page, first, "demo", PLAIN)
    return finish(page, said[3], PLAIN, *[{}] * 3, "demo", "", "", first, *others)


def said_in(page: PlaygroundPage, talk_id: str) -> list[str]:
    record = page.talks.find(talk_id)
    assert isinstance(record, TalkRecord)
    return [turn.content for turn in record.columns[0].turns if turn.role == "user"]


def opened(page: PlaygroundPage, talk_id: str) -> dict[str, list[object]]:
    shown = open_talk(page, {"id": talk_id})
    assert len(shown) == 28
    return {"place": shown[0], "models": [each.value for each in shown[9:12]], "talks": shown[12:15],
            "views": shown[15:18], "knobs": shown[21:]}  # fmt: skip


def test_a_conversation_is_kept_after_its_answers_and_opened_as_it_was(page: PlaygroundPage, image: Path):
    settings = ChatSettings(system="Be brief.", seed=7, temperature=0.5, top_p=0.9, repetition_penalty=1.1)

    talk_id, talks, shown = converse(page, files=(str(image),), text=HOSTILE, settings=settings)

    assert is_id(talk_id)
    assert shown[3] == {"id": talk_id, "said": page.t("play.saved")}
    assert [item["id"] for item in shown[4]["items"]] == [talk_id]
    again = opened(page, talk_id)
    assert again["models"] == ["demo", "other", ""]
    assert again["talks"] == talks
    assert dict(zip(KNOBS, again["knobs"], strict=True)) == settings.model_dump()
    assert again["views"][0]["turns"][0]["parts"][1] == {"text": HOSTILE}  # data, to be written as text


def test_nothing_is_kept_while_a_column_is_busy_or_before_anybody_answered(page: PlaygroundPage):
    talk = Talk().with_question("Well?")

    busy = finish(
        page, TalkPlace(new_id()), ChatSettings(), {"busy": True}, {}, {}, "demo", "", "", talk, Talk(), Talk()
    )
    silent = finish(page, TalkPlace(new_id()), ChatSettings(), {}, {}, {}, "demo", "", "", talk, Talk(), Talk())

    assert busy == [gr.skip()] * 5
    assert silent[3] == {}
    assert page.talks.newest() == []


def test_its_images_outlive_the_sweep_of_uploads_and_go_with_it(page: PlaygroundPage, image: Path):
    talk_id, talks, _ = converse(page, files=(str(image),))
    (name,) = talks[0].images
    old = chat_images_folder(page.services.workspace) / name
    os.utime(old, (0, 0))
    remove_old_uploads(page.services.workspace, now=KEEP_UPLOADS_S + 1)
    assert chat_image(page.services.workspace, name) is None

    opened(page, talk_id)

    assert chat_image(page.services.workspace, name) is not None
    page.talks.delete(talk_id)
    assert list(page.services.workspace.talks.iterdir()) == []
    assert page.talks.find(talk_id) == "missing"


def test_the_next_turn_is_kept_under_the_same_link(page: PlaygroundPage):
    talk_id, talks, _ = converse(page)
    settings = ChatSettings()
    place = opened(page, talk_id)["place"]
    said = ask(page, place, {"text": "And now?", "files": []}, "demo", "other", "", *talks, *values_of(settings))

    finish(page, said[3], settings, {}, {}, {}, "demo", "other", "", *said[5:8])

    record = page.talks.find(talk_id)
    assert isinstance(record, TalkRecord)
    assert [turn.content for turn in record.columns[0].turns] == ["What is it?", "I am demo.", "And now?"]
    assert len(page.talks.newest()) == 1


def test_what_a_model_said_that_is_gone_is_still_shown(page: PlaygroundPage):
    talk_id, talks, _ = converse(page)
    page.services.chats.models.remove("other")  # type: ignore[attr-defined]

    again = opened(page, talk_id)

    assert again["models"] == ["demo", "", ""]
    assert "`other`" in again["views"][1]["status"]
    finish(page, again["place"], ChatSettings(), {}, {}, {}, "demo", "", "", *talks)
    record = page.talks.find(talk_id)
    assert isinstance(record, TalkRecord)
    assert record.columns[1].model == "other"


@pytest.mark.parametrize("made_up", ["", "0" * 24, "../../studio", "..", "0" * 23, "A" * 24, "0" * 24 + "\n", None, 3])
def test_an_unknown_id_opens_and_deletes_nothing(page: PlaygroundPage, made_up: object):
    assert page.talks.find(made_up) == "missing"
    page.talks.delete(made_up)
    with pytest.raises(NotFoundError, match="no conversation"):
        open_talk(page, {"id": made_up})


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"id": "x"}', "EXTRA", "OTHER", "IMAGE"])
def test_a_damaged_file_says_so_and_is_left_out_of_the_list(page: PlaygroundPage, damage: str):
    talk_id, _, _ = converse(page)
    path = page.services.workspace.talks / f"{talk_id}.json"
    whole = path.read_text()
    damages = {
        "EXTRA": whole.replace('"columns"', '"more": 1, "columns"'),
        "OTHER": whole.replace(talk_id, "0" * 24),
        "IMAGE": whole.replace('"images": []', '"images": ["../../studio.db"]'),
    }
    path.write_text(damages.get(damage, damage))

    assert page.talks.find(talk_id) == "damaged"
    with pytest.raises(NotFoundError, match="damaged"):
        open_talk(page, {"id": talk_id})
    assert list_view(page, []) == {"items": []}


def test_a_deleted_conversation_that_is_open_goes_on_under_a_new_link(page: PlaygroundPage):
    talk_id, _, _ = converse(page)

    assert delete_talk(page, {"clicked": talk_id}, TalkPlace(talk_id)) == [{"items": []}, TalkPlace(), {}]
    assert delete_talk(page, {"clicked": ["x"]}, TalkPlace(talk_id)) == [{"items": []}, gr.skip(), gr.skip()]


def test_two_who_go_on_under_one_link_are_both_kept(page: PlaygroundPage):
    talk_id, _, _ = converse(page, models=("demo", "", ""))
    mine, theirs = opened(page, talk_id), opened(page, talk_id)

    go_on(page, theirs["place"], theirs["talks"], "Theirs?")
    shown = go_on(page, mine["place"], mine["talks"], "Mine?")

    assert said_in(page, talk_id) == ["What is it?", "Theirs?"]
    own = shown[3]["id"]
    assert own != talk_id
    assert shown[3]["said"] == page.t("play.saved_apart")
    assert said_in(page, own) == ["What is it?", "Mine?"]
    go_on(page, theirs["place"], opened(page, talk_id)["talks"], "More?")
    go_on(page, mine["place"], opened(page, own)["talks"], "Again?")
    assert said_in(page, talk_id)[1:] == ["Theirs?", "More?"]
    assert said_in(page, own)[1:] == ["Mine?", "Again?"]


def test_two_columns_that_end_at_once_are_one_conversation(page: PlaygroundPage):
    talk_id, talks, _ = converse(page)
    mine, theirs = opened(page, talk_id)["place"], opened(page, talk_id)
    finish(page, mine, PLAIN, {}, {}, {}, "demo", "other", "", *talks)
    finish(page, mine, PLAIN, {}, {}, {}, "demo", "other", "", *talks)
    assert len(page.talks.newest()) == 1

    for _ in range(2):
        shown = finish(page, theirs["place"], PLAIN, {}, {}, {}, "demo", "other", "", *theirs["talks"])

    assert len(page.talks.newest()) == 2
    assert shown[3]["said"] == page.t("play.saved_apart")  # still there to be read


def test_a_conversation_that_was_deleted_meanwhile_is_saved_under_another_link(page: PlaygroundPage):
    talk_id, _, _ = converse(page, models=("demo", "", ""))
    mine = opened(page, talk_id)
    page.talks.delete(talk_id)

    shown = go_on(page, mine["place"], mine["talks"], "Still there?")

    assert page.talks.find(talk_id) == "missing"
    assert said_in(page, shown[3]["id"]) == ["What is it?", "Still there?"]
    assert shown[3]["said"] == page.t("play.saved_apart")


def test_kept_conversations_are_no_runs(page: PlaygroundPage, image: Path):
    converse(page, files=(str(image),))

    assert unknown_folders(page.services.workspace.output, set()) == []


def test_answering_again_takes_the_next_seed_only_where_chance_plays_a_part(page: PlaygroundPage):
    talk = Talk().with_question("Well?").answered("So.")
    models = ("demo", "", "")

    greedy = ask_again(page, TalkPlace(), *models, talk, Talk(), Talk(), *values_of(ChatSettings(seed=4)))
    drawn = ask_again(page, TalkPlace(), *models, talk, Talk(), Talk(), *values_of(ChatSettings(seed=4, temperature=1)))

    assert (greedy[0], drawn[0], drawn[5].seed) == (4, 5, 5)
    assert drawn[6].turns == (Message(role="user", content="Well?"),)
    with pytest.raises(SpecError, match="no question yet"):
        ask_again(page, TalkPlace(), *models, Talk(), Talk(), Talk(), *values_of(ChatSettings()))


def test_every_model_is_asked_in_the_same_settings(page: PlaygroundPage):
    settings = ChatSettings(
        system="Be brief.", seed=3, max_new_tokens=9, temperature=1.5, top_p=0.5, repetition_penalty=1.2
    )

    converse(page, settings=settings)

    asked = page.services.chats.asked  # type: ignore[attr-defined]
    assert [question.checkpoint for question in asked] == ["demo", "other"]
    for question in asked:
        assert question.settings == settings
        assert question.turns[0] == Message(role="system", content="Be brief.")


@pytest.mark.parametrize(
    ("knob", "value"),
    [("seed", None), ("seed", -1), ("max_new_tokens", 0), ("max_new_tokens", 8193), ("temperature", 5.1), ("top_p", 0),
     ("repetition_penalty", 0), ("temperature", "hot"), ("system", "x" * 20_001)],
)  # fmt: skip
def test_knobs_out_of_range_are_refused(knob: str, value: object):
    values = ChatSettings().model_dump() | {knob: value}

    with pytest.raises(SpecError, match="out of range"):
        settings_of(tuple(values[name] for name in KNOBS), translator("en"))


@pytest.mark.parametrize("address", ["/config", "/zh/config"])
def test_every_setting_has_a_control_within_its_limits(address: str, ask: httpx.Client):
    shown = {each["props"].get("elem_id"): each["props"] for each in ask.get(address).json()["components"]}
    controls = {name: shown[name.replace("_", "-")] for name in KNOBS}

    assert [control["label"] for control in controls.values() if "play." in control["label"]] == []
    for name in ("seed", "max_new_tokens", "temperature", "top_p", "repetition_penalty"):
        for end in ("minimum", "maximum"):
            ChatSettings(**{name: controls[name][end]})
        with pytest.raises(ValidationError):
            ChatSettings(**{name: controls[name]["maximum"] + 1})


def test_a_store_without_a_folder_lists_nothing(tmp_path: Path):
    assert TalkStore(Workspace(tmp_path)).newest() == []
