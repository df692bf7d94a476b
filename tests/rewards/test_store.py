"""Own rewards: every version by its content, nothing half-written, and vouchers that an edit loses."""

import hashlib
import json
import os

import pytest

from backend.errors import NotFoundError, SpecError
from backend.rewards.builtin_library import builtin_names, builtin_source
from backend.rewards.composition import RewardPart, compose
from backend.rewards.contract import RewardSource
from backend.rewards.store import DryRunRecord, RewardStore
from backend.settings import Workspace

ONE = "def reward(completions, answer, **columns):\n    return [1.0 for _ in completions]\n"
TWO = ONE.replace("1.0", "2.0")


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return workspace


@pytest.fixture
def store(workspace) -> RewardStore:
    return RewardStore(workspace)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_what_is_saved_is_read_back_byte_for_byte(store, workspace):
    text = ONE.replace("\n", "\r\n") + "# 红\u2028"

    saved = store.save("mine", text)

    assert saved == store.get("mine") == RewardSource("mine", text, "own")
    assert store.names() == ["mine"]
    assert (workspace.rewards / "mine" / f"{sha256(text)}.py").read_bytes() == text.encode()
    assert json.loads((workspace.rewards / "mine" / "reward.json").read_text())["current"] == sha256(text)


def test_ready_rewards_are_there_by_name_and_not_among_the_own(store):
    assert store.get("box_iou") == builtin_source("box_iou")
    assert store.version("box_iou", builtin_source("box_iou").sha256) == builtin_source("box_iou")
    assert [each.sha256 for each in store.versions("box_iou")] == [builtin_source("box_iou").sha256]
    assert store.parts_of("box_iou") is None
    assert store.names() == []


def test_an_empty_workspace_lists_nothing(tmp_path):
    assert RewardStore(Workspace(tmp_path / "nowhere")).names() == []


def test_earlier_versions_stay_and_the_same_text_is_no_new_one(store, workspace):
    store.save("mine", ONE)
    record = (workspace.rewards / "mine" / "reward.json").read_bytes()
    store.save("mine", ONE)
    assert (workspace.rewards / "mine" / "reward.json").read_bytes() == record

    store.save("mine", TWO)

    assert store.get("mine").text == TWO
    assert store.version("mine", sha256(ONE)).text == ONE
    assert store.version("mine", sha256(ONE)[:8]).text == ONE
    assert {(each.sha256, each.is_current) for each in store.versions("mine")} == {
        (sha256(ONE), False), (sha256(TWO), True)
    }  # fmt: skip


def test_an_earlier_text_becomes_current_again_without_a_new_version(store):
    for text in (ONE, TWO, ONE):
        store.save("mine", text)

    assert store.get("mine").text == ONE
    assert len(store.versions("mine")) == 2


def test_versions_come_newest_first(store, workspace):
    store.save("mine", ONE)
    os.utime(workspace.rewards / "mine" / f"{sha256(ONE)}.py", (1000, 1000))
    store.save("mine", TWO)
    assert [each.sha256 for each in store.versions("mine")] == [sha256(TWO), sha256(ONE)]


def test_the_nearest_name_is_told_ready_or_own(store):
    store.save("my-codes", ONE)
    with pytest.raises(NotFoundError, match="`my-code`") as own:
        store.get("my-code")
    with pytest.raises(NotFoundError, match="`exact-match`") as ready:
        store.get("exact-match")

    assert own.value.hint == "Did you mean `my-codes`?"
    assert ready.value.hint == "Did you mean `exact_match`?"


@pytest.mark.parametrize("version", ["", "0" * 64, "../../mine/reward", "abc"])
def test_an_unknown_version_is_told_what_there_is(store, version):
    store.save("mine", ONE)
    with pytest.raises(NotFoundError, match="has no version") as caught:
        store.version("mine", version)
    assert sha256(ONE)[:12] in caught.value.hint


@pytest.mark.parametrize("name", ["", "..", "a/b", "../mine", ".hidden", "Mine", "mine ", "x" * 81])
def test_an_unsafe_name_is_refused_and_never_found(store, workspace, name):
    with pytest.raises(SpecError, match="cannot be a reward's name"):
        store.save(name, ONE)
    with pytest.raises(NotFoundError):
        store.get(name)
    with pytest.raises(NotFoundError):
        store.delete(name)
    assert list(workspace.rewards.iterdir()) == []


@pytest.mark.parametrize("name", builtin_names())
def test_ready_rewards_neither_change_nor_go(store, name):
    with pytest.raises(SpecError, match="ready rewards"):
        store.save(name, ONE)
    with pytest.raises(SpecError, match="ready rewards"):
        store.delete(name)


def test_a_text_with_errors_is_refused_with_its_lines_and_nothing_is_written(store, workspace):
    with pytest.raises(SpecError, match=r"`mine` cannot be a reward: line \d+: "):
        store.save("mine", "def paid():\n    return eval('1')\n")
    with pytest.raises(SpecError, match=r"line \d"):
        store.save("mine", "def reward(:\n")
    assert list(workspace.rewards.iterdir()) == []


def test_a_text_that_is_too_large_or_no_text_is_refused(store):
    with pytest.raises(SpecError, match=r"200,0\d\d bytes"):
        store.save("mine", ONE + "#" * 200_000)
    with pytest.raises(SpecError, match="half a character"):
        store.save("mine", ONE + "# \ud800")


def test_the_parts_of_a_composed_reward_are_kept_until_it_is_edited(store):
    parts = [RewardPart("exact_match", 1), RewardPart("length", 0.2)]

    store.save("mine", compose(parts), parts)
    assert store.parts_of("mine") == tuple(parts)
    store.save("mine", compose(parts))
    assert store.parts_of("mine") == tuple(parts)
    store.save("mine", compose(parts) + "\nLIMIT = 3\n")
    assert store.parts_of("mine") is None
    with pytest.raises(SpecError, match="weight of `0`"):
        store.save("mine", compose(parts), [RewardPart("length", 0)])


def test_a_deleted_reward_is_gone_whole(store, workspace):
    store.save("mine", ONE)
    (workspace.rewards / ".deleted-left").mkdir()  # a cut-off's

    store.delete("mine")

    assert store.names() == []
    assert list(workspace.rewards.iterdir()) == []
    with pytest.raises(NotFoundError, match="`mine`"):
        store.delete("mine")


def test_a_torn_reward_is_not_there_but_can_be_deleted_or_saved_again(store, workspace):
    store.save("mine", ONE)
    (workspace.rewards / "mine" / "reward.json").write_bytes(b'{"current": "')

    assert store.names() == []
    store.save("mine", TWO)
    assert store.get("mine").text == TWO
    (workspace.rewards / "mine" / "reward.json").unlink()
    store.delete("mine")
    assert list(workspace.rewards.iterdir()) == []


def test_a_version_that_was_changed_by_hand_is_no_version(store, workspace):
    store.save("mine", ONE)
    store.save("mine", TWO)
    (workspace.rewards / "mine" / f"{sha256(ONE)}.py").write_text(TWO)

    assert [each.sha256 for each in store.versions("mine")] == [sha256(TWO)]
    (workspace.rewards / "mine" / f"{sha256(TWO)}.py").write_text(ONE)
    assert store.names() == []


def test_foreign_files_are_passed_over(store, workspace):
    store.save("mine", ONE)
    (workspace.rewards / "README.md").write_text("hello")
    (workspace.rewards / "notes").write_text("hello")
    (workspace.rewards / "empty").mkdir()
    (workspace.rewards / "odd").mkdir()
    (workspace.rewards / "odd" / "reward.json").mkdir()
    (workspace.rewards / "far").mkdir()
    stray = {"current": "../mine/" + sha256(ONE), "created": 1, "saved": 1, "parts": None}
    (workspace.rewards / "far" / "reward.json").write_text(json.dumps(stray))
    (workspace.rewards / "mine" / "scratch.py").write_text("x")
    (workspace.rewards / "exact_match").mkdir()

    assert store.names() == ["mine"]
    assert len(store.versions("mine")) == 1


def test_r14_an_edited_reward_is_unchecked_until_it_is_tried_again(store):
    tried = store.save("mine", ONE)
    assert not store.is_checked(tried)
    store.record_dry_run(tried.sha256, "20261124-100000-dry-run", passed=True, warnings=2)
    assert store.is_checked(store.get("mine"))

    store.save("mine", ONE.replace("1.0", "1.5"))
    assert not store.is_checked(store.get("mine"))
    store.save("mine", ONE)
    assert store.is_checked(store.get("mine"))

    store.record_dry_run(tried.sha256, "20261124-110000-dry-run", passed=False, warnings=3)
    assert not store.is_checked(store.get("mine"))
    found = store.dry_run_of(tried.sha256)
    assert found is not None
    assert found.model_copy(update={"checked_at": 0.0}) == DryRunRecord(
        source_sha256=sha256(ONE), run_id="20261124-110000-dry-run", passed=False, warnings=3, checked_at=0.0
    )
    assert store.names() == ["mine"]


def test_ready_rewards_need_no_check(store):
    assert all(store.is_checked(builtin_source(name)) for name in builtin_names())


def test_a_voucher_for_another_text_or_a_torn_one_vouches_for_nothing(store, workspace):
    one, two = store.save("one", ONE), store.save("two", TWO)
    store.record_dry_run(one.sha256, "run", passed=True, warnings=0)
    folder = workspace.rewards / ".checks"
    (folder / f"{two.sha256}.json").write_bytes((folder / f"{one.sha256}.json").read_bytes())
    assert not store.is_checked(two)

    (folder / f"{one.sha256}.json").write_bytes(b'{"passed": true')
    assert not store.is_checked(one)
    assert store.dry_run_of("../mine") is None
