"""A workspace that an earlier version wrote opens in this one: `tests/earlier/make_workspace.py` made it there."""

import json
import tarfile
from pathlib import Path

import pytest

from backend.datasets.store import DatasetStore
from backend.rewards.store import RewardStore
from backend.runs.evaluation_report import read_report
from backend.settings import Workspace
from studio.pages.playground.storage import TalkStore, VoteStore
from studio.web.account_file import AccountFile, is_right
from tests.road.conftest import Road

ARCHIVE = Path(__file__).parent.parent / "earlier" / "workspace.tar.xz"
TRAINED, CHECKED, REWARDED, COMPARED, LOOKED = NAMES = ("first", "dry run sum + gold", "paid", "compared", "looked")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Road:
    """The workspace, unpacked where it was not made."""
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(folder, filter="data")
    return Road(folder / "workspace")


@pytest.fixture(scope="module")
def runs(earlier) -> dict[str, str]:
    """Ids of the runs by their names, as the command lists them."""
    return {run["name"]: run["run_id"] for run in earlier.result("runs")}


def test_its_datasets_open_with_their_versions(earlier):
    (dataset,) = earlier.result("dataset", "list")
    assert (dataset["name"], dataset["statistics"]["rows"], dataset["statistics"]["images"]) == ("colours", 15, 15)
    assert earlier.result("dataset", "check", "colours") == []

    newest, first = earlier.result("dataset", "versions", "colours")
    assert (newest["rows"], first["rows"]) == (15, 16)


def test_what_it_held_out_is_validation_and_stays_so_when_it_is_edited(tmp_path):
    road = Road(tmp_path / "workspace")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    store = DatasetStore(Workspace(road.root))
    before, bytes_before = store.get("colours"), (road.root / "data/colours/data.json").read_bytes()
    held_out = [row.id for row in store.rows("colours", "validation")]
    assert (len(held_out), before.statistics.test_rows) == (before.statistics.validation_rows, 0)
    assert store.page("colours", split="validation", count=99).total == len(held_out) > 0
    assert b'"split":"heldout"' in bytes_before
    assert (road.root / "data/colours/data.json").read_bytes() == bytes_before

    edited = road.result("dataset", "edit", "colours", "--answer", f"{held_out[0]}=another")

    assert edited["statistics"]["validation_rows"] == len(held_out)
    assert [row.id for row in store.rows("colours", "validation")] == held_out
    assert [row.id for row in store.rows("colours", "validation", before.sha256)] == held_out
    assert road.result("dataset", "check", "colours") == []


def test_its_runs_are_listed_as_they_ended(earlier, runs):
    listed = [run for run in earlier.result("runs") if not run["resumed_from"]]
    assert {run["name"] for run in listed} == set(NAMES)
    assert {run["state"] for run in listed} == {"finished"}
    shown = earlier.result("runs", "show", runs[TRAINED])
    assert (shown["step"], shown["total_steps"], shown["spec"]["strategy"]["lora_rank"]) == (2, 2, 2)


def test_without_its_index_the_same_runs_are_found_in_their_folders(earlier, tmp_path):
    bare = Road(tmp_path / "workspace")
    with tarfile.open(ARCHIVE) as packed:
        packed.extractall(tmp_path, filter="data")
    for part in (bare.root / "output").glob("studio.db*"):
        part.unlink()

    def facts(road: Road) -> list[dict]:
        return json.loads(json.dumps(road.result("runs")).replace(str(road.root), ""))

    assert facts(bare) == facts(earlier)


def test_its_evaluations_say_what_they_said(earlier, runs):
    folder = earlier.root / "output"
    compared, looked = (read_report(folder / runs[name] / "report.json") for name in (COMPARED, LOOKED))
    assert compared is not None
    assert looked is not None
    assert len(compared.sides) == 2
    assert len(looked.sides) == 3
    assert [side.contestant.images for side in looked.sides] == ["own", "blank", "shuffled"]
    assert earlier.result("runs", "show", runs[LOOKED])["spec"]["comparison"]["check"] == "image"


def test_its_rewards_open_and_score_as_before(earlier):
    store = RewardStore(Workspace(earlier.root))
    assert store.names() == ["gold", "sum"]
    assert len(store.versions("gold")) == 2
    assert [(part.name, part.weight) for part in store.parts_of("sum") or ()] == [
        ("exact_match", 1.0),
        ("length", 0.25),
    ]


def test_its_account_logs_in(earlier):
    account = AccountFile(Workspace(earlier.root)).find("ana")
    assert account is not None
    assert is_right("correct horse battery", account.password)
    assert not is_right("correct horse batterz", account.password)


def test_its_conversations_and_votes_open(earlier, runs):
    workspace = Workspace(earlier.root)
    (talk,) = TalkStore(workspace).newest()
    assert talk.title == "What colour is it?"
    assert [column.model for column in talk.columns] == [runs[TRAINED]]
    assert talk.image_names == ("0123456789abcdef.png",)
    (vote,) = VoteStore(workspace).newest()
    assert (vote.verdicts, vote.is_revealed) == (["a"], True)


@pytest.mark.torch
@pytest.mark.parametrize("name", [TRAINED, REWARDED])
def test_its_runs_go_on_from_their_checkpoints(earlier, runs, name):
    resumed = earlier.result("runs", "resume", runs[name], "--checkpoint", "checkpoint-1")
    assert (resumed["state"], resumed["step"]) == ("finished", 2)
    losses = [
        json.loads(line)["values"]["loss"]
        for run in (runs[name], resumed["run_id"])
        for line in (earlier.root / "output" / run / "events.jsonl").read_text().splitlines()
        if '"loss"' in line and json.loads(line).get("step") == 2
    ]
    assert losses[0] == pytest.approx(losses[-1], rel=1e-4)


@pytest.mark.torch
def test_its_models_answer(earlier, runs):
    image = next((earlier.root / "data/colours/images").iterdir())
    answer = earlier.result("chat", runs[TRAINED], "--image", str(image), "--prompt", "What colour is it?")
    assert answer
