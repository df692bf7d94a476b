"""The person's whole way on real parts: upload, look, train with DeepSpeed, watch, survive a killed page, talk."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_lab import WIDE, Served, open_tab, start_serving, stop_serving
from playwright.sync_api import Browser, Page, expect

from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from tests.serving import write_easy_codes

pytestmark = [pytest.mark.browser, pytest.mark.torch]

SCREENSHOTS = ROOT / "screenshots"
POINTS = "Math.max(0, ...[...(window.studio?.watcher?.curves.values() ?? [])].map((curve) => curve.steps.length))"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """A studio that nobody has used yet."""
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    served = start_serving(workspace)
    yield served
    stop_serving(served)


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """A zip as somebody might make it: a json in the official layout beside a folder of images."""
    folder = tmp_path / "drawn"
    write_easy_codes(180, folder)
    packed = tmp_path / "paint shop.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))
    return packed


def image_and_question(folder: Path) -> tuple[Path, str, str]:
    """An image of the upload with an English question about it, and the right answer."""
    rows = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    row = next(row for row in rows if "paint code" in row["conversations"][0]["value"])
    question, answer = (turn["value"].replace("<image>\n", "") for turn in row["conversations"])
    return folder / row["image"], question, answer


def image_both_ways(page: Page, name: str) -> None:
    """Keep the page as it looks in light and in dark."""
    SCREENSHOTS.mkdir(exist_ok=True)
    for scheme in ("light", "dark"):
        page.evaluate(f"document.body.classList.toggle('dark', {str(scheme == 'dark').lower()})")
        page.screenshot(path=SCREENSHOTS / f"journey-{name}-{scheme}.png", full_page=True)
    page.evaluate("document.body.classList.remove('dark')")


@pytest.mark.long
def test_p2_from_an_upload_to_two_answers_side_by_side(browser: Browser, fresh: Served, upload: Path, tmp_path: Path):
    page = browser.new_page(viewport=WIDE)
    page.goto(fresh.address)
    page.locator("#upload-files input[type=file]").set_input_files(upload)
    page.locator("#import").wait_for(timeout=60_000)
    page.locator("#import").click()
    expect(page.locator("#import-report")).to_contain_text("180 rows kept", timeout=60_000)
    expect(page.locator("#dataset-rows article").first).to_be_visible(timeout=20_000)
    page.wait_for_function("document.querySelector('#dataset-rows img')?.naturalWidth > 0", timeout=60_000)
    image_both_ways(page, "data")

    page.locator("#train-on-this").click()
    page.get_by_role("radio", name=re.compile("^Full fine-tune")).check()
    expect(page.locator("#plan .command pre")).to_contain_text("studio train full_finetune")
    image_both_ways(page, "train")
    page.locator("#start").click()

    expect(page.locator(".run")).to_contain_text("running", timeout=60_000)
    _wait_for_points(page, 3)
    process = next(fresh.workspace.output.glob("*/process.json"))
    before = json.loads(process.read_text())

    fresh.process.kill()
    fresh.process.wait()
    again = start_serving(fresh.workspace)
    try:
        page.goto(again.address)
        open_tab(page, "runs")
        expect(page.locator(".run")).to_contain_text(re.compile("running|finished"))
        assert json.loads(process.read_text()) == before, "the run was started anew"
        image_both_ways(page, "runs")
        expect(page.locator(".run")).to_contain_text("finished", timeout=300_000)
        _wait_for_points(page, 57)
        page.locator("#run-playground").click()
        _talk(page, *image_and_question(tmp_path / "drawn"))
        image_both_ways(page, "playground")
    finally:
        stop_serving(again)
        shutil.rmtree(fresh.workspace.root / "output" / "models", ignore_errors=True)
        page.close()


def _wait_for_points(page: Page, least: int) -> None:
    """Until the chart's longest line has so many points."""
    page.wait_for_function(f"() => {POINTS} >= {least}", timeout=180_000)


def _talk(page: Page, image: Path, question: str, right: str) -> None:
    """Ask the tuned model and the shipped one the same."""
    expect(page.locator("#model-2 input")).to_have_value(re.compile("paint-shop"))
    expect(page.locator("#model-1 input")).to_have_value(re.compile("Demo"))
    page.locator("#prompt input[type=file]").set_input_files(image)
    page.locator("#prompt textarea").fill(question)
    page.locator("#prompt img").first.wait_for()
    page.locator("#prompt textarea").press("Enter")

    answers = [page.locator(f"#answers-{number}") for number in (1, 2)]
    for answer in answers:
        expect(answer).to_contain_text("tokens/s", timeout=180_000)
    expect(answers[1]).to_contain_text(right)
    expect(answers[0]).not_to_contain_text(right)
