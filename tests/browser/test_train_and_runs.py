"""A person's way from the Train tab to a finished run, on the real page, with a trainer that only pretends to learn."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from backend.recipes.library import load_recipe
from backend.runs.events import EventWriter
from backend.runs.folder import ExitRecord, RunFolder
from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from tests.serving import add_demo, free_port

pytestmark = pytest.mark.browser

STUDIO = ROOT / "tests" / "fakes" / "fake_studio.py"
HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{name}} `x`"
START_S = 120


@dataclass
class Studio:
    """A running web process whose runs only pretend to learn."""

    workspace: Workspace
    port: int
    process: subprocess.Popen[bytes]
    behaviour: tuple[str, ...]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.process = start_process(self.workspace, self.port, self.behaviour)


def start_process(workspace: Workspace, port: int, behaviour: tuple[str, ...]) -> subprocess.Popen[bytes]:
    log = workspace.root / "studio.log"
    with log.open("ab") as sink:
        argv = (sys.executable, str(STUDIO), str(workspace.root), str(port), *behaviour)
        process = subprocess.Popen(argv, cwd=ROOT, stdout=sink, stderr=sink)

    def is_up() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2).status == 200
        except OSError:
            return False

    until(is_up, START_S)
    return process


@contextmanager
def a_studio(root: Path, *behaviour: str) -> Iterator[Studio]:
    """Serve a workspace with a few rows of each demo dataset but `shapes`, which the first start draws whole."""
    workspace = Workspace(root)
    workspace.prepare()
    add_demo(workspace, root / "rows", ("paint-codes", "night-shapes", "night-codes"))
    port = free_port()
    studio = Studio(workspace, port, start_process(workspace, port, behaviour), behaviour)
    try:
        until((workspace.data / PREPARED).exists, START_S)
        yield studio
    finally:
        studio.kill()
        end_runs(workspace)


def end_runs(workspace: Workspace) -> None:
    """Let every run that a test left at work end, and wait for its keeper."""
    for process in workspace.output.glob("*/process.json"):
        folder = RunFolder(process.parent)
        if not folder.exit.exists():
            folder.stop.write_text(json.dumps({"mode": "now", "asked_at": time.time()}))
            until(folder.exit.exists, 60)


def until(claim: Callable[[], object], timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """What this file's pages look at, instead of the studio that trains for real."""
    with a_studio(tmp_path_factory.mktemp("studio"), "--steps", "4000", "--pause", "0.05") as studio:
        yield studio


@contextmanager
def a_plain_page(browser: Browser, address: str) -> Iterator[Page]:
    """A page that may complain: about a refused form, or a server that is gone."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def open_tab(page: Page, name: str) -> None:
    page.locator(f"#nav [role=tab][data-tab-id='{name}']").click()


def seed_run(
    workspace: Workspace, run_id: str, name: str, losses: list[float], *, going_on_from: str = "", **ended: str
) -> RunFolder:
    """Write the folder of a run that is over; one that went on from `run-id/checkpoint-N` begins behind step N."""
    first = int(going_on_from.rsplit("-", 1)[-1]) + 1 if going_on_from else 1
    folder = RunFolder(workspace.output / run_id)
    folder.path.mkdir()
    events = EventWriter(folder.events)
    events.write("note", 0, level="warning", text=f"noted: {HOSTILE}")
    for step, loss in enumerate(losses, start=first):
        events.write("metric", step, loss=loss, grad_norm=0.5)
        events.write("progress", step, phase="training", total_steps=len(losses))
    events.close()
    folder.log.write_text(f"logged: {HOSTILE}\n")
    shown = {"state": "finished", "reason": "", "hint": ""} | ended
    record = ExitRecord(
        raw_status=0, exit_code=0, signal=None, duration_s=3, peak_memory_bytes=0, ended_at=time.time(), **shown
    )
    folder.exit.write_text(record.model_dump_json())
    changes = {"name": name, "data.datasets": [{"name": "paint-codes"}], "resumed_from": going_on_from}
    spec = load_recipe("lora").spec.with_values(changes)
    folder.spec.write_text(spec.model_dump_json())
    return folder


@pytest.mark.long
def test_what_will_be_trained_and_the_command_follow_every_choice(page: Page):
    open_tab(page, "train")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("studio train lora")
    expect(plan).to_contain_text("--dataset paint-codes")

    page.get_by_role("radio", name=re.compile("^LoRA \\+ vision")).check()
    page.get_by_role("radio", name=re.compile("^Quick look")).check()

    expect(plan).to_contain_text("studio train lora_llm_full_vit")
    expect(plan).to_contain_text("--effort quick")
    expect(plan).to_contain_text("--dataset night-codes")  # the recipe's own, since nothing else was chosen
    expect(plan.get_by_role("row", name=re.compile("Vision tower.*in full"))).to_be_visible()
    expect(plan.get_by_role("row", name=re.compile("Language model.*LoRA"))).to_be_visible()


@pytest.mark.long
def test_the_plan_stays_in_view_while_the_form_scrolls(page: Page):
    open_tab(page, "train")
    expect(page.locator("#plan")).to_contain_text("studio train lora")
    page.locator("#advanced > button").click()
    page.locator("#reset-advanced").scroll_into_view_if_needed()

    expect(page.locator("#start")).to_be_in_viewport()


@pytest.mark.long
def test_weights_show_each_datasets_share_of_the_samples(page: Page):
    open_tab(page, "train")
    page.get_by_role("checkbox", name=re.compile("^shapes")).check()
    page.get_by_label("Weight of shapes").fill("0.5")
    page.get_by_label("Weight of shapes").press("Tab")

    expect(page.locator("#plan")).to_contain_text("--dataset shapes:0.5")
    expect(page.locator("#datasets .weighted", has=page.get_by_label("Weight of shapes"))).to_contain_text(
        "82% of the samples"
    )


@pytest.mark.long
def test_a_setting_out_of_range_is_said_beside_its_field_and_nothing_starts(browser: Browser, served: Studio):
    with a_plain_page(browser, served.address) as page:
        runs = len(list(served.workspace.output.glob("2*")))
        open_tab(page, "train")
        page.locator("#advanced > button").click()
        page.get_by_label("Epochs").fill("0")

        expect(page.locator("#plan")).to_contain_text("Epochs: must be more than 0")
        page.locator("#start").click()

        expect(page.locator("#knob-optimiser-epochs")).to_contain_text("must be more than 0")
        assert len(list(served.workspace.output.glob("2*"))) == runs

        page.get_by_label("Epochs").fill("2")
        expect(page.locator("#advanced")).to_contain_text("1 changed")
        expect(page.locator("#plan")).to_contain_text("--set optimiser.epochs=2")

        page.locator("#reset-advanced").click()
        expect(page.locator("#plan")).not_to_contain_text("--set")


def test_a_run_is_started_watched_live_stopped_annotated_repeated_and_deleted(page: Page, served: Studio):
    open_tab(page, "train")
    expect(page.locator("#plan")).to_contain_text("--dataset paint-codes")
    page.locator("#run-name input, #run-name textarea").fill("watched")
    page.locator("#start").click()

    row = page.locator(".run", has_text="watched")
    expect(row).to_contain_text("running")
    expect(page.locator(".legend")).to_contain_text(re.compile(r"watched: loss 1 → 0\.\d+ over \d+ steps"))
    first = curve_points(page)
    until(lambda: curve_points(page) > first)
    expect(page.locator("#run-devices")).to_contain_text("held by")
    expect(page.locator("#run-devices").get_by_role("button", name="watched")).to_be_visible()
    expect(page.locator("#run-tiles")).to_contain_text("Time left")
    expect(page.locator("#run-delete")).to_be_hidden()

    page.locator("#run-stop-save").click()
    expect(row).to_contain_text("stopped")
    expect(page.locator("#run-playground")).to_be_visible()
    expect(page.locator("#run-stop-save")).to_be_hidden()

    page.get_by_role("button", name="Settings and command").click()
    expect(page.locator("#run-settings")).to_contain_text("studio train lora")
    expect(page.locator("#run-settings").get_by_role("row", name="Epochs")).to_contain_text("3 passes")

    page.locator("#run-rename input, #run-rename textarea").fill("watched closely")
    page.locator("#run-notes textarea").fill("learned well")
    page.locator("#run-keep").click()
    expect(page.locator(".run", has_text="watched closely")).to_be_visible(timeout=10_000)

    page.locator("#run-again").click()
    expect(page.locator("#plan")).to_contain_text("--set optimiser.language_rate=")

    open_tab(page, "runs")
    page.locator("#run-delete").click()
    expect(page.locator("#delete-question textarea")).to_have_value(re.compile("watched closely"))
    page.locator("#delete-yes").click()
    expect(page.locator(".run", has_text="watched closely")).to_have_count(0)


@pytest.mark.long
def test_p2_a_web_process_killed_and_started_again_shows_the_run_live(browser: Browser, served: Studio):
    with a_plain_page(browser, served.address) as page:
        open_tab(page, "train")
        expect(page.locator("#plan")).to_contain_text("--dataset paint-codes")
        page.locator("#run-name input, #run-name textarea").fill("survivor")
        page.locator("#start").click()
        expect(page.locator(".legend")).to_contain_text(re.compile("survivor: .* over"))
        process = next(served.workspace.output.glob("*-survivor/process.json"))
        trainer = json.loads(process.read_text())["pid"]

        served.kill()
        expect(page.locator("#run-list")).to_contain_text("does not answer")
        os.kill(trainer, 0)  # still there
        served.restart()

        expect(page.locator("#run-list")).not_to_contain_text("does not answer")
        before = curve_points(page)
        until(lambda: curve_points(page) > before)

    with a_plain_page(browser, served.address) as page:  # a visitor who comes anew sees it too, and can end it
        open_tab(page, "runs")
        row = page.locator(".run", has_text="survivor")
        expect(row).to_contain_text("running")
        until(lambda: curve_points(page) > 0)
        page.locator("#run-stop-now").click()
        expect(row).to_contain_text("stopped")
    with pytest.raises(ProcessLookupError):
        os.kill(trainer, signal.SIG_DFL)


def test_w10_hostile_names_logs_and_notes_are_shown_as_text(page: Page, served: Studio):
    seed_run(served.workspace, "20200101-000000-hostile", HOSTILE, [2.0, 1.0], state="failed", reason=f"It {HOSTILE}")

    open_tab(page, "runs")
    page.locator("[data-choose='20200101-000000-hostile']").click()

    expect(page.locator("#run-tiles h2")).to_have_text(HOSTILE)
    expect(page.locator(".notes")).to_contain_text(HOSTILE)
    expect(page.locator(".log")).to_contain_text(HOSTILE)
    expect(page.locator(".why")).to_contain_text("It <img src=x onerror=alert(1)> ${alert(2)} {{name}}")
    expect(page.locator("#run-rename input, #run-rename textarea")).to_have_value(HOSTILE)


def test_curves_of_several_runs_share_one_chart_and_keep_the_zoom(page: Page, served: Studio):
    for number, name in enumerate(["first", "second"]):
        seed_run(
            served.workspace, f"20200102-00000{number}-{name}", name, [2 - step / 100 + number for step in range(100)]
        )
    open_tab(page, "runs")
    page.locator("[data-choose='20200102-000000-first']").click()
    # in one go: the list may be drawn anew between finding a box and pressing it
    expect(page.get_by_role("checkbox", name="Show the curve of second")).to_have_count(1)
    page.evaluate("() => document.querySelector(\"[aria-label='Show the curve of second']\").click()")
    expect(page.locator(".legend li")).to_have_count(2)

    chart = page.locator(".chart").bounding_box()
    page.mouse.move(chart["x"] + 150, chart["y"] + 60)
    page.mouse.down()
    page.mouse.move(chart["x"] + 400, chart["y"] + 200, steps=5)
    page.mouse.up()
    until(lambda: x_range(page)[1] - x_range(page)[0] < 60)
    zoomed = x_range(page)
    page.locator("#run-chart input[type=range]").fill("0.9")  # draws anew
    page.wait_for_timeout(300)

    assert x_range(page) == zoomed
    page.get_by_role("button", name="Whole curve").click()
    until(lambda: x_range(page)[1] - x_range(page)[0] > 95)

    page.get_by_label("Metric").select_option("grad_norm")
    expect(page.locator(".legend")).to_contain_text("second: gradient norm 0.5 → 0.5 over 100 steps")


@pytest.mark.long
def test_s8_a_run_that_went_on_is_drawn_behind_what_it_went_on_from(page: Page, served: Studio):
    parent, child = "20200104-000000-parent", "20200104-000001-child"
    seed_run(served.workspace, parent, "parent", [9.0, 8, 7, 6, 5, 4, 3])
    seed_run(served.workspace, child, "child", [4.5, 3.5], going_on_from=f"{parent}/checkpoint-5")
    open_tab(page, "runs")
    page.locator(f"[data-choose='{child}']").click()

    expect(page.locator(".legend")).to_contain_text("child: loss 9 → 3.5 over 7 steps")
    curve = page.evaluate(f"() => window.studio.watcher.curve('{child}')")
    assert curve == {"steps": [1, 2, 3, 4, 5, 6, 7], "values": [9, 8, 7, 6, 5, 4.5, 3.5]}
    page.locator(f"[data-choose='{parent}']").click()
    expect(page.locator(".legend")).to_contain_text("parent: loss 9 → 3 over 7 steps")  # its own is kept whole


@pytest.mark.long
def test_a_page_asks_nothing_while_nobody_looks_at_its_runs(page: Page):
    requests: list[str] = []
    with page.expect_request(re.compile("/api/")):
        open_tab(page, "runs")
    page.on("request", lambda request: requests.append(request.url) if "/api/" in request.url else None)
    open_tab(page, "train")
    page.wait_for_timeout(500)
    requests.clear()

    page.wait_for_timeout(4000)

    assert requests == []


@pytest.mark.long
def test_among_many_runs_each_can_be_found_and_all_can_be_shown(page: Page, served: Studio):
    for number in range(70):
        seed_run(served.workspace, f"20200103-{number:06d}-many", f"many {number}", [2.0, 1.0])
    open_tab(page, "runs")
    rows, search = page.locator(".run"), page.get_by_role("searchbox", name=re.compile("^Search runs"))
    expect(rows.first).to_contain_text("many")

    search.fill("MANY 42")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("many 42")
    rows.locator("[data-choose]").click()  # the chosen one is drawn wherever it stands: one that stands in front
    search.fill("nothing is called that")
    expect(page.locator("#run-list")).to_contain_text("No run matches the search")
    search.fill("many finished paint-codes")
    expect(rows).to_have_count(60)
    page.get_by_role("button", name="Show 10 more of 70").click()

    expect(rows).to_have_count(70)
    expect(page.get_by_role("button", name=re.compile("more of"))).to_be_hidden()
    expect(search).to_have_value("many finished paint-codes")  # drawing the list anew leaves it alone


def curve_points(page: Page) -> int:
    """How many points the chart's longest line has."""
    return page.evaluate(
        "() => Math.max(0, ...[...(window.studio?.watcher?.curves.values() ?? [])].map((curve) => curve.steps.length))"
    )


def x_range(page: Page) -> tuple[float, float]:
    script = """() => {
        const [view] = Object.values(Bokeh.index).flatMap((one) => one.roots ?? [one]);
        return [view.model.x_range.start, view.model.x_range.end];
    }"""
    return tuple(page.evaluate(script))
