"""Two who change one thing: the second one is told what it is now, and nobody's work is lost."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.datasets.editing import EditConflict, Edits
from backend.datasets.store import ImportOptions
from backend.errors import SpecError
from backend.ids import RunId
from backend.rewards.composition import RewardPart
from backend.rewards.store import RewardStore
from backend.rewards.validation import RewardEditConflict
from backend.settings import Workspace
from backend.spec.run import RunSpec
from studio.pages.rewards import layout as rewards
from studio.pages.rewards.composer import composer_view
from studio.pages.rewards.editor import save_reward, template
from studio.pages.runs import layout as runs
from studio.services import Services, build_services
from studio.ui.i18n import LANGUAGES, translator
from tests.datasets.dataset_lab import asked, folder_of

ONE = "def reward(completions, answer, **columns):\n    return [1.0 for _ in completions]\n"
TWO, THREE = ONE.replace("1.0", "2.0"), ONE.replace("1.0", "3.0")
RUN = RunId("20260101-000000-mine")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    services = build_services(workspace)
    yield services
    services.runs.close()


@pytest.fixture(params=LANGUAGES)
def t(request: pytest.FixtureRequest):
    return translator(request.param)


@pytest.fixture
def editor(services, t):
    """The Rewards page of one language over a store that holds `mine`."""
    page = rewards.RewardsPage(services, RewardStore(services.workspace), t)
    page.store.save("mine", ONE)
    return page


def opened(page, composer=None):
    """What a tab holds once `mine` is open in it."""
    return rewards.open_reward(page, {"chosen": "of:mine"}, rewards.EditorState(), "", composer or {})[1]


def test_m3_the_second_of_two_tabs_is_told_and_both_texts_stay(editor, t):
    mine, theirs = opened(editor), opened(editor)
    rewards.save(editor, theirs, "", TWO, {})

    with pytest.raises(SpecError) as caught:
        rewards.save(editor, mine, "", THREE, {})

    now = editor.store.get("mine")
    assert caught.value.message == t("rewards.changed", name="mine", version=now.sha256[:8])
    assert caught.value.hint == t("rewards.changed.hint")
    assert now.text == TWO


def test_m3_the_second_may_save_a_copy_or_open_again_and_replace(editor):
    mine, theirs = opened(editor), opened(editor)
    rewards.save(editor, theirs, "", TWO, {})

    copied = rewards.copy(editor, mine, THREE)
    rewards.save(editor, copied[1], "mine-copy", THREE, {})
    again = rewards.open_reward(editor, {"chosen": "of:mine"}, mine, THREE, {})
    rewards.save(editor, again[1], "", THREE, {})

    assert editor.store.get("mine-copy").text == THREE
    assert again[5].value.strip() == THREE.strip()  # what was typed is still in the editor
    assert editor.store.get("mine").text == THREE
    assert len(editor.store.versions("mine")) == 3


def test_m3_a_draft_that_rested_is_still_one_of_the_version_it_began_from(editor):
    mine = opened(editor)
    elsewhere = rewards.open_reward(editor, {"chosen": "of:exact_match"}, mine, THREE, {})[1]
    rewards.save(editor, opened(editor), "", TWO, {})

    back = rewards.open_reward(editor, {"chosen": "of:mine"}, elsewhere, "", {})

    assert back[5].value.strip() == THREE.strip()
    with pytest.raises(SpecError):
        rewards.save(editor, back[1], "", THREE, {})
    assert editor.store.get("mine").text == TWO


@pytest.fixture
def beside_a_new_one(editor):
    """What a tab holds that has `mine` open after something was typed for a new reward."""

    def held(typed: str):
        begun = rewards.open_reward(editor, {"chosen": "new"}, rewards.EditorState(), "", {})[1]
        return rewards.open_reward(editor, {"chosen": "of:mine"}, begun, typed, {})[1]

    return held


def test_a_copy_does_not_take_the_place_of_a_new_reward_that_was_typed(editor, beside_a_new_one, t):
    held = beside_a_new_one(THREE)
    composing = rewards.open_reward(editor, {"chosen": "compose"}, held, ONE, {})[1]

    for lose in (lambda: rewards.copy(editor, held, ONE), lambda: rewards.edit_as_code(editor, composing, TWO)):
        with pytest.raises(SpecError) as caught:
            lose()
        assert caught.value.message == t("rewards.new_unsaved")

    back = rewards.open_reward(editor, {"chosen": "new"}, held, ONE, {})
    assert back[5].value.strip() == THREE.strip()
    saved = rewards.save(editor, back[1], "three", THREE, {})
    assert rewards.copy(editor, saved[1], ONE)[5].value.strip() == ONE.strip()  # nothing is left that could be lost


@pytest.mark.parametrize("written", [lambda t: template(t), lambda t: "  \n", lambda t: ONE, lambda t: TWO])
def test_a_new_reward_that_nobody_typed_gives_way_to_a_copy(editor, beside_a_new_one, t, written):
    held = beside_a_new_one(written(t))

    assert rewards.copy(editor, held, TWO)[5].value.strip() == TWO.strip()


def test_m3_one_tab_saves_as_often_as_it_likes(editor):
    held = opened(editor)
    for text in (TWO, THREE, TWO, ONE):
        held = rewards.save(editor, held, "", text, {})[1]

    assert editor.store.get("mine").text == ONE


def test_m3_a_tab_that_goes_back_or_composes_is_told_too(editor, t):
    editor.store.save("sum", "x = 1\n" + ONE, [RewardPart("exact_match", 1.0)])
    stale = opened(editor)
    composing = rewards.open_reward(editor, {"chosen": "of:sum"}, rewards.EditorState(), "", {})[1]
    first = editor.store.get("mine").sha256
    rewards.save(editor, opened(editor), "", TWO, {})
    editor.store.save("sum", TWO)

    with pytest.raises(SpecError, match=re.escape(t("rewards.changed", name="mine", version="")[:6])):
        rewards.restore(editor, stale, first)
    with pytest.raises(SpecError, match="sum"):
        save_reward(editor.store, composing, "", "", composer_view([RewardPart("length", 1.0)], t), t)

    assert (editor.store.get("mine").text, editor.store.get("sum").text) == (TWO, TWO)


def test_m3_of_many_who_save_over_one_version_at_once_one_wins(services):
    store = RewardStore(services.workspace)
    first, told = store.save("mine", ONE).sha256, []

    def save(number: int) -> None:
        try:
            told.append(store.save("mine", ONE + f"# {number}\n", expected=first))
        except RewardEditConflict as error:
            told.append(error)

    threads = [threading.Thread(target=save, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    won = [each for each in told if not isinstance(each, RewardEditConflict)]
    assert (len(told), len(won)) == (12, 1)
    assert store.get("mine") == won[0]
    assert len(store.versions("mine")) == 2


@pytest.fixture
def details(services, t):
    """The Runs page of one language, with a run to annotate."""
    (services.workspace.output / RUN).mkdir()
    services.runs.add(RUN, RunSpec(name="first"), 0.0)
    return runs.RunsPage(services, t)


def looked_at(page) -> runs.ShownRun:
    return runs.show(page, {"id": RUN}, runs.ShownRun())[0]


def test_m3_notes_that_somebody_else_changed_are_told_and_replaced_only_when_asked_again(details, t):
    mine, theirs = looked_at(details), looked_at(details)
    runs.annotate(details, {"id": RUN}, theirs, "first", "<b>theirs</b>")

    with pytest.warns(UserWarning, match="&lt;b&gt;theirs&lt;/b&gt;"):
        seen, *boxes = runs.annotate(details, {"id": RUN}, mine, "first", "mine")

    assert details.services.runs.get(RUN).notes == "<b>theirs</b>"
    assert all("value" not in box for box in boxes)  # what was typed stays
    runs.annotate(details, {"id": RUN}, seen, "first", "mine")
    assert details.services.runs.get(RUN).notes == "mine"


def test_m3_a_name_and_notes_of_two_people_are_both_kept(details):
    mine, theirs = looked_at(details), looked_at(details)
    runs.annotate(details, {"id": RUN}, theirs, "first", "theirs")

    seen, *boxes = runs.annotate(details, {"id": RUN}, mine, "renamed", mine.notes)

    view = details.services.runs.get(RUN)
    assert (view.name, view.notes) == ("renamed", "theirs")
    assert boxes == ["renamed", "theirs"]
    assert (seen.name, seen.notes) == ("renamed", "theirs")


def test_m3_a_row_is_mended_by_one_and_other_rows_by_the_other(services, tmp_path):
    rows = [asked(None, f"Question {n}", f"Answer {n}") for n in range(4)]
    services.datasets.import_dataset(folder_of(tmp_path / "rows", {"data.json": rows}), ImportOptions(name="rows"))
    first, second, third, _ = services.datasets.rows("rows")
    seen = {row.id: row.gold for row in (first, second, third)}

    def mend(row: str, answer: str) -> None:
        services.datasets.apply_edits("rows", Edits({row: answer}), expected={row: seen[row]})

    mend(first.id, "theirs")
    with pytest.raises(EditConflict) as caught:
        mend(first.id, "mine")
    mend(second.id, "mine")

    assert caught.value.changed == {first.id: "theirs"}
    now = {row.id: row.gold for row in services.datasets.rows("rows")}
    assert (now[first.id], now[second.id], now[third.id]) == ("theirs", "mine", third.gold)
    assert len(services.datasets.versions("rows")) == 3
