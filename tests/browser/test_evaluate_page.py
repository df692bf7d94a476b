"""From a finished run to its worst answer, a corrected label, another training, and the comparison of the two."""

import re

import pytest
from browser_lab import Served, open_tab, write_run
from playwright.sync_api import Page, expect

from backend.datasets.store import DatasetStore
from backend.evaluation.report import read_report
from backend.runs.answers import read_answers
from backend.settings import DEMO_MODEL
from backend.store.runs import RunStore
from backend.store.views import RunView

pytestmark = [pytest.mark.browser, pytest.mark.torch]

SLOW_MS = 180_000
FIRST = "20251230-000000-first-model"


@pytest.fixture(scope="module", autouse=True)
def finished(served: Served) -> None:
    """A run that is over, whose settings train for two steps."""
    brief = {"data.datasets": [{"name": "paint-codes"}], "optimiser.max_steps": 2, "evaluation.rows": 0}
    write_run(served.workspace, FIRST, (DEMO_MODEL / "model.safetensors").read_bytes(), brief)


def runs_of(served: Served, kind: str) -> list[RunView]:
    """Finished runs of a kind, newest first."""
    store = RunStore(served.workspace)
    try:
        return [view for view in store.views() if view.spec.kind == kind and view.state == "finished"]
    finally:
        store.close()


def next_run(page: Page, served: Served, kind: str, known: int) -> RunView:
    """The run that ends after `known` others of its kind."""
    for _ in range(SLOW_MS // 500):
        if len(found := runs_of(served, kind)) > known:
            return found[0]
        page.wait_for_timeout(500)
    raise AssertionError(f"no {kind} has finished")


def evaluate(page: Page, served: Served) -> RunView:
    """Start the evaluation that the form shows, on ten of all rows, and wait for its verdict."""
    known = len(runs_of(served, "evaluation"))
    page.locator("#eval-rows input").click()
    page.get_by_role("option", name="all rows").click()
    page.locator("#eval-limit input").fill("10")
    page.get_by_role("button", name="Start evaluation").click()
    expect(page.locator("#evaluation-list li")).to_have_count(known + 1)
    newest = next_run(page, served, "evaluation", known)
    expect(page.locator("#evaluation-report h2")).to_have_text(newest.name)
    expect(page.locator("#evaluation-report .verdict")).to_be_visible()
    return newest


@pytest.mark.long
def test_a_worst_answer_leads_to_a_mended_label_another_training_and_a_comparison(page: Page, served: Served):
    open_tab(page, "runs")
    page.locator(f"[data-choose='{FIRST}']").click()

    page.locator("#run-measure").click()
    expect(page.locator("#eval-model-1 input")).to_have_value("first-model · final model")
    expect(page.locator("#eval-model-2 input")).to_have_value("Demo (shapes)")
    before = evaluate(page, served).spec.data.datasets[0]
    expect(page.locator("#evaluation-report .verdict")).to_contain_text("first-model")

    worst = page.locator("#answer-wall article").first
    key = str(worst.get_attribute("data-row"))
    worst.get_by_role("button", name="Wrong label").click()
    page.get_by_label("The right answer").fill("mended <b>label</b>")
    page.locator("#answer-wall .fixing").get_by_role("button", name="Keep").click()
    page.locator("#answer-wall article").nth(1).get_by_role("button", name="Exclude").click()
    expect(page.locator("#answer-wall .marked-rows")).to_contain_text("Rows marked: 2")
    page.get_by_role("button", name="Make a new dataset version").click()
    expect(page.locator(".marked-rows")).to_be_hidden()
    expect(page.get_by_text("1 labels corrected, 1 rows excluded")).to_be_visible()

    store = DatasetStore(served.workspace)
    version = store.get(before.name).sha256
    assert version != before.sha256
    rows = {row.id: row for row in store.rows(before.name)}
    assert rows[key.partition("/")[2]].messages[-1].content == "mended <b>label</b>"

    page.get_by_role("button", name="Train again from here").click()
    expect(page.locator("#plan")).to_contain_text("studio train")
    trained = len(runs_of(served, "sft"))
    page.locator("#start").click()
    second = next_run(page, served, "sft", trained)
    open_tab(page, "runs")
    expect(page.locator("#run-tiles h2")).to_have_text(second.name)
    expect(page.locator("#run-tiles .bdg").first).to_have_text("finished")
    assert second.spec.data.datasets[0].sha256 == version

    page.locator("#run-measure").click()
    expect(page.locator("#eval-model-1 input")).to_have_value(re.compile(re.escape(second.name)))
    page.locator("#eval-model-2 input").click()
    page.get_by_role("option", name="first-model · final model").click()
    compared = evaluate(page, served)
    report = read_report(compared.folder.report)
    assert [side.contestant.checkpoint for side in report.sides] == [str(second.id), FIRST]
    assert len(read_answers(compared.folder.answers, 1)) == report.rows == 10
    shown = page.locator("#evaluation-report table tbody tr").first.locator("td strong")
    decisive = report.metrics[0].name
    for place, side in enumerate(report.sides):
        told = float(shown.nth(place).inner_text().rstrip("%"))
        assert told == pytest.approx(100 * side.measures[decisive].value, abs=0.051)
    expect(page.locator("#evaluation-report .verdict")).to_contain_text(re.compile("cannot tell|better|worse"))
