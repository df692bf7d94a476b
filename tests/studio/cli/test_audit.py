"""Who did what is written down: by account in the page, by user at the command line, and never what is secret."""

import json
import stat
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from backend.audit import FILE, acting, acts, audit, system_user
from backend.datasets.store import DatasetStore, ImportOptions
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from studio.cli import context
from studio.cli.main import app
from tests.serving import Served
from tests.studio.conftest import NAME
from tests.studio.events import Events, outputs

REWARD = "def reward(completions, answer, **columns):\n    return [1.0 for _ in completions]\n"


def done(workspace: Workspace, act: str) -> list[dict[str, object]]:
    return [each for each in acts(workspace, 10_000) if each["act"] == act]


def a_dataset(workspace: Workspace, room: Path, name: str) -> str:
    room.mkdir()
    (room / "rows.csv").write_text("question,answer\n" + "".join(f"What {n}?,{n}\n" for n in range(8)))
    return DatasetStore(workspace).import_dataset(room / "rows.csv", ImportOptions(name=name)).manifest.sha256


def test_m6_the_page_acts_for_who_is_logged_in(member: httpx.Client, locked: Served, tmp_path: Path):
    workspace, events = locked.workspace, Events(member)
    sha256 = a_dataset(workspace, tmp_path / "rows", "to-go")
    opened, save = events.at("reward-list", "input"), events.at("reward-save", "click")

    outputs(events.call(opened, [{"chosen": "new"}, None, "", {}], "m6"))
    outputs(events.call(save, [None, "by-ann", REWARD, {}], "m6"))
    outputs(events.call(events.at("dataset-delete-yes", "click"), [{"chosen": "to-go"}], "m6"))

    source = RewardStore(workspace).get("by-ann")
    assert [(each["who"], each["subject"], each["sha256"]) for each in done(workspace, "reward.save")] == [
        (NAME, "by-ann", source.sha256)
    ]
    assert [(each["who"], each["sha256"]) for each in done(workspace, "dataset.import")][-1] == (system_user(), sha256)
    assert [(each["who"], each["sha256"]) for each in done(workspace, "dataset.delete")] == [(NAME, sha256)]
    RewardStore(workspace).delete("by-ann")
    assert [(each["who"], each["sha256"]) for each in done(workspace, "reward.delete")] == [
        (system_user(), source.sha256)
    ]


def test_m6_an_import_is_its_visitors_though_a_thread_does_it(member: httpx.Client, locked: Served):
    events, rows = Events(member), b"question,answer\n" + b"".join(b"Where %d?,%d\n" % (n, n) for n in range(8))
    (path,) = member.post("/gradio_api/upload", files={"files": ("mine.csv", rows)}).json()
    sent = [{"path": path, "orig_name": "mine.csv", "meta": {"_type": "gradio.FileData"}}]

    looked = outputs(events.call(events.at("upload-files", "upload"), [sent, None], "m6-import"))
    roles = [each["value"] for each in looked if isinstance(each, dict) and "choices" in each]
    events.call(
        events.at("import", "click"), [None, "mine", 0.25, None, None, *roles[:-1], False, roles[-1]], "m6-import"
    )

    assert [each["who"] for each in done(locked.workspace, "dataset.import") if each["subject"] == "mine"] == [NAME]
    DatasetStore(locked.workspace).delete("mine")


def test_m6_logins_and_accounts_are_written_down_but_no_password(stranger: httpx.Client, member, locked: Served):
    said = "my password in the wrong field"
    stranger.post("/login", data={"name": said, "password": said})
    stranger.post("/login", data={"name": NAME, "password": said})

    failed = [(each["who"], each["subject"], each["from"]) for each in done(locked.workspace, "login.fail")]
    assert ("the page", "an unknown name", "127.0.0.1") in failed
    assert ("the page", NAME, "127.0.0.1") in failed
    assert (NAME, NAME) in [(each["who"], each["subject"]) for each in done(locked.workspace, "login.ok")]
    assert done(locked.workspace, "user.add")[0]["who"] == system_user()
    assert said not in (locked.workspace.output / FILE).read_text()
    assert stat.S_IMODE((locked.workspace.output / FILE).stat().st_mode) == 0o600


def test_m6_edits_and_restored_versions_are_written_down(tmp_path: Path):
    from backend.datasets.editing import Edits

    workspace = Workspace(tmp_path / "work")
    workspace.prepare()
    store, first = DatasetStore(workspace), a_dataset(workspace, tmp_path / "rows", "rows")
    row = next(iter(store.rows("rows"))).id
    with acting("ann"):
        second = store.apply_edits("rows", Edits({}, frozenset({row}))).sha256
    with acting("bob"):
        store.restore("rows", first)

    said = [(each["who"], each["act"], each["sha256"]) for each in acts(workspace, 9)]
    assert said[1:] == [("ann", "dataset.edit", second), ("bob", "dataset.restore", first)]


def test_m6_the_record_is_only_added_to_and_a_torn_line_harms_no_other(tmp_path: Path, monkeypatch):
    workspace = Workspace(tmp_path)
    workspace.prepare()
    audit(workspace, "run.start", "first\nline", sha256="a" * 64)
    with (workspace.output / FILE).open("ab") as record:
        record.write(b'[1]\n{"torn": \n')
    audit(workspace, "run.stop", "second")
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path))
    context.workspace.cache_clear()

    shown = CliRunner().invoke(app, ["audit"])
    told = json.loads(CliRunner().invoke(app, ["audit", "--json", "--last", "1"]).stdout)

    context.workspace.cache_clear()
    assert [each["subject"] for each in acts(workspace, 99)] == ["first\nline", "second"]
    assert shown.exit_code == 0
    assert "sha256=aaaaaaaaaaaa" in shown.stdout.replace("\n", "")
    assert [each["act"] for each in told] == ["run.stop"]


@pytest.mark.parametrize("refuses", ["folder", "nothing"])
def test_m6_an_act_is_done_though_it_cannot_be_written_down(tmp_path: Path, refuses: str):
    workspace = Workspace(tmp_path / "work")
    if refuses == "folder":
        (workspace.output / FILE).mkdir(parents=True)

    audit(workspace, "run.start", "x")
    RewardStore(workspace).save("kept", REWARD)

    assert RewardStore(workspace).names() == ["kept"]
