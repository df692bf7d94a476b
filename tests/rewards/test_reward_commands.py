"""`studio reward`: what it prints, what it refuses, and what a dry run would be asked to do."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from backend.conversation import Message
from backend.datasets.store import DatasetStore, ImportOptions
from backend.rewards.builtin_library import builtin_names, builtin_source
from backend.rewards.contract import Isolation
from backend.rewards.dry_run import DryRunReport, DryRunReward, DryRunRow, DryRunWarning, ScoredAnswer, write_report
from backend.rewards.store import RewardStore
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec
from studio.cli import context, output
from studio.cli.main import app
from studio.cli.reward_dry_run import isolation_line
from tests.datasets.dataset_lab import folder_of, many

Studio = Callable[..., Result]
MINE = '''"""Pays 1
for anything."""


def reward(completions, answer, **columns):
    return [1.0 for _ in completions]
'''


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Iterator[Workspace]:
    caches = (context.workspace, context.dataset_store, context.reward_store, context.run_store, context.launcher)
    monkeypatch.setenv("STUDIO_WORKSPACE", str(tmp_path / "studio"))
    for cache in caches:
        cache.cache_clear()
    yield context.workspace()
    for cache in caches:
        cache.cache_clear()


@pytest.fixture
def studio(workspace, monkeypatch) -> Studio:
    monkeypatch.setattr(output.console, "_width", 200)  # a worker of xdist has another
    return lambda *words: CliRunner().invoke(app, ["reward", *words])


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "My Reward.py"
    path.write_text(MINE)
    return path


def told(result: Result) -> object:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def flat(text: str) -> str:
    return " ".join(text.split())


def test_the_list_says_what_each_pays_and_what_is_checked(studio, file, workspace):
    told(studio("save", "mine", str(file), "--json"))
    store = RewardStore(workspace)

    first = told(studio("list", "--json"))
    store.record_dry_run(store.get("mine").sha256, "run", passed=True, warnings=1)
    second = told(studio("list", "--json"))
    shown = studio("list").stdout

    assert [each["name"] for each in first] == [*builtin_names(), "mine"]
    assert all(each["is_checked"] == (each["origin"] == "library") for each in first)
    assert second[-1]["is_checked"]
    assert second[-1]["pays"] == "Pays 1 for anything."
    assert "passed, 1 warning" in shown
    assert "an exact match" in flat(shown)


def test_a_file_is_saved_and_shown_as_it_is(studio, file, workspace):
    saved = told(studio("save", "mine", str(file), "--json"))
    file.write_text(MINE.replace("1.0", "0.5"))
    assert studio("save", "mine", str(file)).exit_code == 0

    assert studio("show", "mine", "--version", saved["sha256"][:12]).stdout == MINE
    assert studio("show", "mine").stdout == file.read_text()
    shown = told(studio("show", "mine", "--json"))
    assert shown["text"] == file.read_text()
    assert [version["is_current"] for version in shown["versions"]].count(True) == 1
    assert len(shown["versions"]) == 2
    assert studio("show", "exact_match").stdout == builtin_source("exact_match").text


def test_a_saved_reward_tells_to_try_it(studio, file):
    assert "studio reward check mine --dataset" in studio("save", "mine", str(file)).stdout


def test_a_deleted_reward_is_gone(studio, file):
    studio("save", "mine", str(file))

    assert told(studio("delete", "mine", "--json")) == {"deleted": "mine"}
    gone = studio("show", "mine")
    assert gone.exit_code == 2
    assert "No reward is called `mine`" in gone.stderr


def test_composing_prints_the_sentence_and_saves(studio, workspace):
    words = ("compose", "mine", "--part", "exact_match:1", "--part", "length:0.2")

    said = studio(*words)

    assert said.exit_code == 0
    assert said.stdout.startswith("Pays 1 for an exact match, plus up to 0.2 for at most 40 words; at most 1.2 in all.")
    composed = told(studio(*words, "--json"))
    assert composed["parts"] == [{"name": "exact_match", "weight": 1.0}, {"name": "length", "weight": 0.2}]
    assert composed["sha256"] == RewardStore(workspace).get("mine").sha256


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "exact_mach"), "Did you mean `exact_match`?"),
        (("show", "exact_match", "--version", "12345678"), "has no version `12345678`"),
        (("delete", "exact_match"), "ready rewards"),
        (("save", "mine", "nowhere.py"), "`nowhere.py` cannot be read: No such file or directory"),
        (("compose", "mine"), "No part is chosen"),
        (("compose", "mine", "--part", "length:x", "--part", "box_iou:"),
         "`--part length:x` is not READY_REWARD:WEIGHT; `--part box_iou:` is not"),
        (("compose", "mine", "--part", "length:0", "--part", "lenght"),
         "No ready reward is called `lenght`; `length` has a weight of `0`"),
        (("compose", "exact_match", "--part", "length"), "ready rewards"),
        (("check", "nowhere.py", "--dataset", "codes"), "`nowhere.py` cannot be read"),
        (("check", "nothing", "--dataset", "codes"), "No reward is called `nothing`"),
        (("check", "exact_match", "--dataset", "nowhere"), "No dataset is called `nowhere`"),
        (("check", "exact_match", "exact_match", "--dataset", "nowhere", "--set", "grpo.temprature=1"),
         "did you mean `grpo.temperature`?"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_exit_code_2_and_said(studio, words, said):
    result = studio(*words)
    assert result.exit_code == 2
    assert said in flat(result.stderr)


def test_a_file_with_errors_is_refused_with_its_lines_and_not_saved(studio, tmp_path, workspace):
    bad = tmp_path / "bad.py"
    bad.write_text("def paid():\n    return 1\n")

    checked, saved = studio("check", str(bad), "exact_match", "--dataset", "codes"), studio("save", "bad", str(bad))

    assert (checked.exit_code, saved.exit_code) == (2, 2)
    assert f"{bad}:" in checked.stderr
    assert "cannot be a reward as it stands" in checked.stderr
    assert "cannot be a reward: line " in saved.stderr
    assert RewardStore(workspace).names() == []


def test_a_file_that_is_no_text_is_refused(studio, tmp_path):
    (tmp_path / "bad.py").write_bytes(b"\xff\xfe\x00")
    assert "no text in UTF-8" in studio("save", "bad", str(tmp_path / "bad.py")).stderr


def test_two_files_of_one_name_are_refused(studio, file, tmp_path, workspace):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "my-reward.py").write_text(MINE)

    result = studio("check", str(file), str(tmp_path / "other" / "my-reward.py"), "--dataset", "codes")

    assert result.exit_code == 2
    assert "`my-reward` would be the name of two of them" in result.stderr
    assert RewardStore(workspace).names() == []


class FakeLauncher:
    """Takes a run and has it ended at once, with a report or without."""

    def __init__(self, workspace: Workspace, report: DryRunReport | None) -> None:
        self.folder = RunFolder(workspace.output / "20261124-100000-dry-run")
        self.report = report
        self.spec: RunSpec | None = None

    def submit(self, spec: RunSpec) -> str:
        self.spec = spec
        self.folder.path.mkdir()
        if self.report:
            write_report(self.folder.check, self.report)
        return self.folder.run_id

    def wait(self, run_id: str, on_event: object = None, poll_s: float = 0.3) -> SimpleNamespace:
        return SimpleNamespace(
            id=run_id, name="dry run", state="finished" if self.report else "failed", reason="the model is gone",
            hint="Get it", folder=self.folder, spec=self.spec, step=0, total_steps=0, metrics={},
        )  # fmt: skip


def report_of(*, passed: bool) -> DryRunReport:
    answers = (
        ScoredAnswer(kind="gold", text="Red", total=1.2, values={"my-reward": 1.0, "length": 1.0}, seconds=0.00125),
        ScoredAnswer(kind="repeated", text="Red " * 50, total=0.2, values={"my-reward": None, "length": 0.2},
                     problems={"my-reward": "nan is no number"}),
        ScoredAnswer(kind="sample", text="It is\nblue", total=0.1, values={"my-reward": 0.0, "length": 0.5}),
    )  # fmt: skip
    row = DryRunRow(
        row="7", dataset="codes", images=("images/7.png",), prompt=(Message(role="user", content="<image>Colour?"),),
        gold="Red", answers=answers, spread=0.25,
    )  # fmt: skip
    return DryRunReport(
        rewards=(DryRunReward(name="my-reward", weight=1, sha256="0" * 64),
                 DryRunReward(name="length", weight=0.2, sha256="1" * 64)),
        checkpoint="demo", rows=(row,), no_spread_share=0.75,
        warnings=(DryRunWarning(code="no_spread", reward="", text="75% of groups have no spread", value=0.75),),
        isolation=Isolation(limits=True, network=True, files=False), passed=passed,
    )  # fmt: skip


@pytest.fixture
def with_report(workspace, tmp_path, monkeypatch) -> Callable[[DryRunReport | None], FakeLauncher]:
    upload = folder_of(tmp_path / "upload", many(10))
    DatasetStore(workspace).import_dataset(upload, ImportOptions(name="codes"))

    def launcher_with(report: DryRunReport | None) -> FakeLauncher:
        launcher = FakeLauncher(workspace, report)
        monkeypatch.setattr(context, "launcher", lambda: launcher)
        return launcher

    return launcher_with


def test_a_dry_run_saves_the_file_and_asks_for_what_was_said(studio, file, workspace, with_report):
    launcher = with_report(report_of(passed=True))

    result = studio("check", str(file), "length", "--dataset", "codes", "--limit", "3", "--samples", "4", "--json")

    assert told(result) == launcher.report.model_dump(mode="json")
    spec = launcher.spec
    assert RewardStore(workspace).get("my-reward").text == MINE
    assert (spec.kind, spec.model.base) == ("reward_check", "demo")
    assert [share.name for share in spec.grpo.rewards] == ["my-reward", "length"]
    assert [share.name for share in spec.data.datasets] == ["codes"]
    assert (spec.grpo.check_rows, spec.grpo.generations) == (3, 4)


def test_a_dry_run_is_told_answer_by_answer(studio, file, with_report):
    with_report(report_of(passed=True))

    result = studio("check", str(file), "length", "--dataset", "codes")

    shown = [flat(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert "codes 7, spread 0.25" in shown
    assert "gold Red 1 1 1.2 1.25" in shown
    assert "gold x 50 Red Red Red Red Red Red Red Red Red Red… - 0.2 0.2 0 my-reward: nan is no number" in shown
    assert "drawn It is blue 0 0.5 0.1 0" in shown
    assert "Groups without spread, which teach nothing: 75%" in shown
    assert "warning no_spread: 75% of groups have no spread" in shown
    assert isolation_line(report_of(passed=True).isolation) in shown
    assert shown[-1] == "passed with 1 warning"


def test_a_dry_run_that_is_not_passed_is_exit_code_1(studio, with_report):
    with_report(report_of(passed=False))
    result = studio("check", "length", "--dataset", "codes")
    assert result.exit_code == 1
    assert "not passed" in result.stdout


def test_a_dry_run_that_fails_is_exit_code_1_with_its_reason(studio, with_report):
    with_report(None)
    result = studio("check", "length", "--dataset", "codes")
    assert result.exit_code == 1
    assert "failed: the model is gone\nhint: Get it" in result.stderr


def test_the_isolation_line_names_what_is_there_and_what_is_not():
    assert isolation_line(Isolation(limits=True, network=True, files=True, processes=True, calls=True)) == (
        "The rewards ran with isolation level 3: memory, time, files limited · no network · "
        "reads only Python and the images · no other processes · needless system calls refused"
    )
    assert isolation_line(Isolation(limits=True, network=False, files=True)) == (
        "The rewards ran with isolation level 0: memory, time, files limited · network: not blocked on this host · "
        "reads only Python and the images · other processes: not protected on this host · "
        "system calls: not filtered on this host"
    )
