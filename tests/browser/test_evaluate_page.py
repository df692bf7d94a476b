"""From a finished run to its worst answer, a corrected label, another training, and the comparison of the two."""

import re

import pytest
from browser_lab import Served, open_tab, set_knobs
from playwright.sync_api import Page, expect

from backend.datasets.store import DatasetStore
from backend.evaluation.report import read_report
from backend.runs.answers import read_answers
from backend.store.runs import RunStore
from backend.store.views import RunView

pytestmark = [pytest.mark.browser, pytest.mark.torch]

SLOW = 120_000
SMALL = {"optimiser-max_steps": "2", "evaluation-rows": "0"}


def runs_of(served: Served, kind: str) -> list[RunView]:
    """Finished runs of a kind, newest first."""
    store = RunStore(served.workspace)
    try:
        return [view for view in store.views() if view.spec.kind == kind and view.state == "finished"]
    finally:
        store.close()


def train(page: Page, served: Served, count: int) -> RunView:
    """Press Start, wait for the run's end."""
    page.locator("#start").click()
    expect(page.locator("#run-tiles .bdg").first).to_have_text("finished", timeout=SLOW)
    found = runs_of(served, "sft")
    assert len(found) >= count
    return found[0]


def evaluate(page: Page, name: str) -> None:
    """Start the evaluation that the form shows, wait for its verdict."""
    page.locator("#eval-rows input").click()
    page.get_by_role("option", name="all rows").click()
    page.locator("#eval-limit input").fill("10")
    page.get_by_role("button", name="Start evaluation").click()
    expect(page.locator("#evaluation-report h2")).to_contain_text(name, timeout=SLOW)
    expect(page.locator("#evaluation-report .verdict")).to_be_visible(timeout=SLOW)


def test_a_worst_answer_leads_to_a_mended_label_another_training_and_a_comparison(page: Page, served: Served):
    open_tab(page, "train")
    page.locator("#advanced > button").click()
    set_knobs(page, SMALL)
    first = train(page, served, 1)

    page.locator("#run-measure").click()
    expect(page.locator("#eval-model-1 input")).to_have_value(re.compile(re.escape(first.name)))
    expect(page.locator("#eval-model-2 input")).to_have_value("Demo (shapes)")
    evaluate(page, first.name)
    expect(page.locator("#evaluation-report .verdict")).to_contain_text(first.name)

    dataset = first.spec.data.datasets[0]
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
    version = store.get(dataset.name).sha256
    assert version != dataset.sha256
    rows = {row.id: row for row in store.rows(dataset.name)}
    assert rows[key.partition("/")[2]].messages[-1].content == "mended <b>label</b>"

    page.get_by_role("button", name="Train again from here").click()
    expect(page.locator("#plan")).to_contain_text("studio train")
    second = train(page, served, 2)
    assert second.id != first.id
    assert second.spec.data.datasets[0].sha256 == version

    page.locator("#run-measure").click()
    expect(page.locator("#eval-model-1 input")).to_have_value(re.compile(re.escape(second.name)))
    page.locator("#eval-model-2 input").click()
    page.get_by_role("option", name=re.compile(f"^{re.escape(first.name)}")).last.click()
    evaluate(page, " / ")
    compared = runs_of(served, "evaluation")[0]
    report = read_report(compared.folder.report)
    assert [side.contestant.checkpoint for side in report.sides] == [str(second.id), str(first.id)]
    assert len(read_answers(compared.folder.answers, 1)) == report.rows == 10
    shown = page.locator("#evaluation-report table tbody tr").first.locator("td strong")
    decisive = report.metrics[0].name
    for place, side in enumerate(report.sides):
        told = float(shown.nth(place).inner_text().rstrip("%"))
        assert told == pytest.approx(100 * side.measures[decisive].value, abs=0.051)
    expect(page.locator("#evaluation-report .verdict")).to_contain_text(re.compile("cannot tell|better|worse"))
