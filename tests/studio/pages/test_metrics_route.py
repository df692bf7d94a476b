"""What pages that watch runs are told: only what is new, as strict JSON, and never a traceback."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.errors import StudioError
from backend.ids import RunId
from backend.recipes.library import load_recipe
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.settings import ROOT
from backend.store.queue import Holder, Lease
from studio.pages.runs import routes as metrics
from studio.pages.runs.live import LOG_BYTES, read_log
from studio.services import Services
from studio.web.responses import on_studio_error


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI()
    app.add_exception_handler(StudioError, on_studio_error)
    app.include_router(metrics.router(services))
    with TestClient(app) as client:
        yield client


def a_run(services: Services, run_id: str, name: str = "receipts") -> tuple[RunFolder, EventWriter]:
    folder = RunFolder(services.workspace.output / run_id)
    folder.path.mkdir()
    spec = load_recipe("lora").spec.with_values({"name": name, "data.datasets": [{"name": "shapes"}]})
    services.runs.add(RunId(run_id), spec, 1_795_000_000.0)
    return folder, EventWriter(folder.events)


def learn(services: Services, folder: RunFolder, events: EventWriter, steps: range, **other: float) -> None:
    for step in steps:
        events.write("metric", step, loss=1 / step, **other)
    services.runs.ingest(folder)


def strict(response: httpx.Response) -> dict:
    def refuse(token: str) -> None:
        raise AssertionError(token)

    assert response.status_code == 200, response.text
    return json.loads(response.text, parse_constant=refuse)


def test_only_new_points_travel(services, client):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 5))
    first = strict(client.get("/api/curves", params={"runs": "run-a"}))
    learn(services, folder, events, range(5, 7))

    second = strict(client.get("/api/curves", params={"runs": "run-a", "cursor": first["cursor"]}))
    third = strict(client.get("/api/curves", params={"runs": "run-a", "cursor": second["cursor"]}))

    assert first["series"] == [
        {"id": "run-a", "steps": [1, 2, 3, 4], "values": [1, 1 / 2, 1 / 3, 1 / 4], "is_whole": True}
    ]
    assert second["series"] == [{"id": "run-a", "steps": [5, 6], "values": [1 / 5, 1 / 6], "is_whole": False}]
    assert third["series"][0]["steps"] == []
    assert third["cursor"] == second["cursor"]


def test_a_run_added_to_the_chart_comes_whole_and_the_others_do_not_come_again(services, client):
    for name in ("run-a", "run-b"):
        learn(services, *a_run(services, name), range(1, 4))
    one = strict(client.get("/api/curves", params={"runs": "run-a"}))

    both = strict(client.get("/api/curves", params={"runs": "run-a,run-b", "cursor": one["cursor"]}))

    assert [(series["id"], len(series["steps"]), series["is_whole"]) for series in both["series"]] == [
        ("run-a", 0, False),
        ("run-b", 3, True),
    ]


def test_a_replaced_events_file_makes_the_curve_come_whole_again(services, client):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 9))
    before = strict(client.get("/api/curves", params={"runs": "run-a"}))
    events.close()
    folder.events.unlink()
    learn(services, folder, EventWriter(folder.events), range(1, 3))

    after = strict(client.get("/api/curves", params={"runs": "run-a", "cursor": before["cursor"]}))

    assert after["series"][0]["is_whole"]
    assert after["series"][0]["steps"] == [1, 2]


def test_s9_a_loss_that_is_not_finite_is_a_gap_in_strict_json(services, client):
    folder, events = a_run(services, "run-a")
    for step, loss in enumerate([1.0, float("nan"), float("inf"), 0.5], start=1):
        events.write("metric", step, loss=loss)
    services.runs.ingest(folder)

    assert strict(client.get("/api/curves", params={"runs": "run-a"}))["series"][0]["values"] == [1.0, None, None, 0.5]


def test_d5_a_long_curve_is_thinned_and_keeps_its_spike(services, client):
    folder, events = a_run(services, "run-a")
    for step in range(1, 6001):
        events.write("metric", step, loss=99.0 if step == 4321 else 1.0)
    services.runs.ingest(folder)

    series = strict(client.get("/api/curves", params={"runs": "run-a"}))["series"][0]

    assert len(series["steps"]) <= 2000
    assert series["values"][series["steps"].index(4321)] == 99.0


def test_every_metric_that_was_reported_can_be_chosen(services, client):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 3), grad_norm=0.5, language_rate=1e-4)

    asked = strict(client.get("/api/curves", params={"runs": "run-a", "key": "language_rate"}))

    assert asked["keys"] == ["grad_norm", "language_rate", "loss"]
    assert asked["series"][0]["values"] == [1e-4, 1e-4]


@pytest.mark.parametrize(
    "path",
    [
        "/api/curves?runs=no-such-run",
        "/api/runs/no-such-run/log",
        "/api/runs/..%2f..%2fetc/log",
        "/api/curves?runs=../x",
    ],
)
def test_w9_an_unknown_run_is_a_404_in_words(client, path):
    answer = client.get(path)

    assert answer.status_code == 404
    assert "Traceback" not in answer.text


def test_an_unknown_run_says_which_and_what_to_do(services, client):
    a_run(services, "run-a")

    answer = client.get("/api/runs/run-b/log")

    assert answer.json() == {"message": "There is no run `run-b`", "hint": "Did you mean `run-a`?"}


@pytest.mark.parametrize("cursor", ["", "nonsense", "eyJhIjpbMV19", "W10=", "\x00", "9" * 4000])
def test_w7_a_made_up_cursor_counts_as_none(services, client, cursor):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 4))

    assert strict(client.get("/api/curves", params={"runs": "run-a", "cursor": cursor}))["series"][0]["is_whole"]


def test_the_list_travels_only_when_it_changed(services, client):
    folder, events = a_run(services, "run-a", name="<img src=x onerror=alert(1)>")
    listed = strict(client.get("/api/runs"))

    assert listed["runs"][0]["name"] == "<img src=x onerror=alert(1)>"  # inert: script writes it as text
    assert client.get("/api/runs", params={"seen": listed["version"]}).json() is None
    learn(services, folder, events, range(1, 3))
    assert strict(client.get("/api/runs", params={"seen": listed["version"]}))["runs"][0]["step"] == 2


def test_a_page_that_knows_the_list_gets_only_the_rows_that_changed(services, client):
    runs = {name: a_run(services, name) for name in ("run-a", "run-b", "run-c")}
    whole = strict(client.get("/api/runs"))
    learn(services, *runs["run-b"], range(1, 3))

    changed = strict(client.get("/api/runs", params={"seen": whole["version"]}))
    services.runs.remove(RunId("run-a"))
    gone = strict(client.get("/api/runs", params={"seen": changed["version"]}))
    both = strict(client.get("/api/runs", params={"seen": whole["version"]}))

    assert (whole["is_whole"], [row["id"] for row in whole["runs"]]) == (True, ["run-c", "run-b", "run-a"])
    assert [row["number"] for row in whole["runs"]] == [3, 2, 1]
    assert (changed["is_whole"], [(row["id"], row["step"]) for row in changed["runs"]]) == (False, [("run-b", 2)])
    assert (gone["runs"], gone["gone"]) == ([], ["run-a"])
    assert ([row["id"] for row in both["runs"]], both["gone"]) == (["run-b"], ["run-a"])


@pytest.mark.parametrize("seen", ["", "nonsense", "-", "00000000-1", "-1", "\u0661-\u0661", "9" * 400, "x-" + "9" * 90])
def test_w7_a_made_up_version_gets_the_whole_list(services, client, seen):
    a_run(services, "run-a")

    assert strict(client.get("/api/runs", params={"seen": seen}))["is_whole"]


def test_a_version_of_the_future_or_of_another_process_gets_the_whole_list(services, client):
    a_run(services, "run-a")
    name, _, count = strict(client.get("/api/runs"))["version"].partition("-")

    assert strict(client.get("/api/runs", params={"seen": f"{name}-{int(count) + 1}"}))["is_whole"]
    assert client.get("/api/runs", params={"seen": f"{name}-{count}"}).json() is None


def test_d5_hundreds_of_runs_are_all_told_once_and_then_only_what_is_new(services, client):
    spec = load_recipe("lora").spec.with_values({"data.datasets": [{"name": "shapes"}]})
    for number in range(300):
        services.runs.add(RunId(f"run-{number}"), spec.with_values({"name": f"number {number}"}), 1_795_000_000.0)
    whole = strict(client.get("/api/watch"))["list"]
    folder = RunFolder(services.workspace.output / "run-7")
    folder.path.mkdir()
    learn(services, folder, EventWriter(folder.events), range(1, 3))

    answer = client.get("/api/watch", params={"seen": whole["version"]})

    assert len(whole["runs"]) == 300
    assert [row["id"] for row in strict(answer)["list"]["runs"]] == ["run-7"]
    assert len(answer.content) < 2_000


def test_one_question_a_tick_brings_all_a_page_needs(services, client):
    folder, events = a_run(services, "run-a")
    events.write("note", 0, level="warning", text="3 rows were left out")
    learn(services, folder, events, range(1, 4))
    folder.log.write_text("one\ntwo\n")
    asked = {"runs": "run-a", "chosen": "run-a"}

    first = strict(client.get("/api/watch", params=asked))
    seen = {
        "cursor": first["curves"]["cursor"],
        "seen": first["list"]["version"],
        "offset": first["chosen"]["log"]["end"],
    }
    second = client.get("/api/watch", params=asked | seen)

    assert first["chosen"]["log"]["text"] == "one\ntwo\n"
    assert [(note["level"], note["text"]) for note in first["chosen"]["notes"]] == [("warning", "3 rows were left out")]
    assert strict(second)["list"] is None
    assert strict(second)["chosen"]["log"] == {"text": "", "end": 8, "is_whole": False}
    assert len(second.content) < 600


def test_a_page_that_watches_a_deleted_run_goes_on_with_the_others(services, client):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 4))

    told = strict(client.get("/api/watch", params={"runs": "run-a,gone,../x", "chosen": "gone"}))

    assert [series["id"] for series in told["curves"]["series"]] == ["run-a"]
    assert told["chosen"] is None


def log_of(tmp_path: Path, content: bytes) -> RunFolder:
    folder = RunFolder(tmp_path)
    folder.log.write_bytes(content)
    return folder


def test_a_log_is_read_in_whole_lines_while_it_is_written(tmp_path):
    folder = log_of(tmp_path, "one\n图".encode()[:-1])  # the last character is cut in its middle

    first = read_log(folder, -1, is_over=False)
    with folder.log.open("ab") as log:
        log.write("图".encode()[-1:] + b"\nlast words")
    second = read_log(folder, first.end, is_over=False)
    third = read_log(folder, second.end, is_over=True)

    assert first == ("one\n", 4, True)
    assert second == ("图\n", 8, False)
    assert third == ("last words", 18, False)


def test_a_log_that_was_cut_is_shown_anew(tmp_path):
    folder = log_of(tmp_path, b"kept\n")

    assert read_log(folder, 5000, is_over=False) == ("kept\n", 5, True)


def test_d3_a_huge_log_answers_with_its_tail(tmp_path):
    folder = log_of(tmp_path, b"".join(b"line %d\n" % number for number in range(200_000)))

    tail = read_log(folder, -1, is_over=False)

    assert len(tail.text) <= LOG_BYTES
    assert tail.text.endswith("line 199999\n")
    assert tail.text.startswith("line ")


def test_a_log_reads_as_a_terminal_would_leave_it_without_secrets(tmp_path):
    folder = log_of(tmp_path, b"\x1b[31mred\x1b[0m\r\n 10%\r 50%\r100%\nkey hf_abcdefghijklmnop\x00\n")

    assert read_log(folder, -1, is_over=True).text == "red\n100%\nkey hf_[redacted]\n"


def test_a_run_without_a_log_yet_has_an_empty_one(tmp_path):
    assert read_log(RunFolder(tmp_path), -1, is_over=False) == ("", -1, True)


def test_the_chart_script_comes_from_the_installed_package_which_is_not_imported():
    code = (
        "import sys; from fastapi import FastAPI; from fastapi.testclient import TestClient;"
        "from studio.pages.runs import routes as metrics; app = FastAPI();"
        "app.add_api_route('/script', metrics._chart_script);"
        "answer = TestClient(app).get('/script');"
        "print(answer.status_code, len(answer.content) > 500_000, answer.headers['content-type']);"
        "print('bokeh' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert ran.stdout.splitlines() == ["200 True text/javascript; charset=utf-8", "False"]


def test_each_kind_of_run_tells_what_it_is_and_what_it_is_judged_by(services, client):
    folder, events = a_run(services, "run-a")
    learn(services, folder, events, range(1, 3))
    for run_id, kind in (("run-b", "grpo"), ("run-c", "reward_check")):
        folder = RunFolder(services.workspace.output / run_id)
        folder.path.mkdir()
        spec = load_recipe("grpo").spec.with_values({"kind": kind, "data.datasets": [{"name": "shapes"}]})
        services.runs.add(RunId(run_id), spec, 1_795_000_000.0)
    events = EventWriter(services.workspace.output / "run-b" / "events.jsonl")
    events.write("metric", 1, loss=0.1, reward=0.25, frac_reward_zero_std=0.75)
    services.runs.ingest(RunFolder(services.workspace.output / "run-b"))

    rows = {row["id"]: row for row in strict(client.get("/api/runs"))["runs"]}

    told = {run_id: (row["kind"], row["rewards"], row["reward"], row["flat_share"]) for run_id, row in rows.items()}
    assert told == {
        "run-a": ("sft", [], None, None),
        "run-b": ("grpo", ["exact_match"], 0.25, 0.75),
        "run-c": ("reward_check", ["exact_match"], None, None),
    }


def test_s7_lines_that_could_not_be_read_are_told(client: TestClient, services: Services) -> None:
    folder, events = a_run(services, "20260101-000000-odd")
    learn(services, folder, events, range(1, 3))
    with folder.events.open("ab") as torn:
        torn.write(b"\xff\xfe not json\n{}\n")
    services.runs.ingest(folder)

    (row,) = strict(client.get("/api/watch"))["list"]["runs"]

    assert (row["bad_lines"], row["step"]) == (2, 2)


def test_p15_a_page_is_told_who_holds_which_device(client: TestClient, services: Services) -> None:
    a_run(services, "20260101-000000-night", "the night run")
    services.runs.claim_next(("cpu:0",), lambda taken: 29_500)
    services.runs.hold_for_chat(Lease("cpu:0", "chat-1", None, "demo", False, Holder(1, 2, "b"), 5.0), ("cpu:0",))

    (device,) = strict(client.get("/api/watch"))["devices"]

    assert device["name"] == "cpu:0"
    held = [(holder["run"], holder["label"]) for holder in device["holders"]]
    assert sorted(held) == [("", "demo"), ("20260101-000000-night", "the night run")]
