"""From a finished run to its worst answer, a corrected label, another training, and the comparison of the two."""

import re
import time
from collections.abc import Iterator

import pytest
from browser_lab import Served, open_tab, write_run
from playwright.sync_api import Page, Route, expect

from backend.datasets.store import DatasetStore, ImportOptions
from backend.programs.evaluation.scoring import ContestantAnswers, build_report
from backend.recipes.evaluation import evaluation_spec
from backend.recipes.resolve import resolve
from backend.runs.answers import Answer, AnswerWriter, read_answers
from backend.runs.evaluation_report import read_report, write_report
from backend.runs.folder import ExitRecord, RunFolder
from backend.settings import DEMO_MODEL
from backend.store.runs import RunStore
from backend.store.views import RunView
from tests.datasets.dataset_lab import folder_of
from tests.programs.training.training_lab import mixed_rows

pytestmark = [pytest.mark.browser, pytest.mark.torch]

SLOW_MS = 180_000
FIRST = "20251230-000000-first-model"
JUDGED, OTHER = "20251229-000000-judged", "20251229-000001-other"
MARKED = "marked-rows"  # a dataset of four rows


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


@pytest.fixture
def judged(page: Page, served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two evaluations that are over: every answer is wrong."""
    upload = folder_of(tmp_path_factory.mktemp("marked"), mixed_rows(images=4, texts=0))
    served.datasets.import_dataset(upload, ImportOptions(name=MARKED))
    for run_id, given in ((JUDGED, "no"), (OTHER, "never")):
        write_evaluation(served, run_id, given)
    for _ in range(100):
        if len({str(view.id) for view in runs_of(served, "evaluation")} & {JUDGED, OTHER}) == 2:
            break
        page.wait_for_timeout(100)
    yield
    served.datasets.delete(MARKED)


def write_evaluation(served: Served, run_id: str, given: str) -> None:
    """Write the folder of an evaluation of the demo model, which answered all rows alike."""
    changes = {"comparison.split": "all", "comparison.metrics": ["exact_match"], "name": run_id[16:]}
    spec = resolve(evaluation_spec("quality", ["demo"], [MARKED], changes), served.workspace)
    folder = RunFolder(served.workspace.output / run_id)
    folder.path.mkdir()
    answers = [
        Answer(place=place, row=row.id, dataset=MARKED, images=row.images, asked=row.messages[:-1],
               gold=row.messages[-1].content, given=given, frame=(56, 56), tokens=3, is_cut=False,
               scores={"exact_match": 0.0})
        for place, row in enumerate(served.datasets.rows(MARKED))
    ]  # fmt: skip
    with AnswerWriter(folder.answers, 0) as writer:
        writer.add(answers)
    write_report(folder.report, build_report(spec, [ContestantAnswers(answers, 2.0, (784, 7840))], too_long=0))
    ended = ExitRecord(raw_status=0, exit_code=0, signal=None, duration_s=1.0, peak_memory_bytes=0, state="finished",
                       reason="", hint="", ended_at=time.time())  # fmt: skip
    folder.exit.write_text(ended.model_dump_json())
    folder.spec.write_text(spec.model_dump_json())


def test_marks_and_what_is_being_typed_stay_until_they_are_carried_out(page: Page, served: Served, judged: None):
    open_tab(page, "evaluate")
    cards, marked = page.locator("#answer-wall article"), page.locator("#answer-wall .marked-rows")
    typed = page.get_by_label("The right answer")

    def choose(run_id: str, given: str) -> None:
        page.locator(f"#evaluation-list [data-id='{run_id}']").click()
        expect(cards.first.locator(".of-0")).to_contain_text(given)

    choose(JUDGED, "no")
    cards.nth(0).get_by_role("button", name="Exclude").click()
    cards.nth(1).get_by_role("button", name="Wrong label").click()
    typed.fill("half a lab")
    choose(OTHER, "never")
    expect(marked).to_be_hidden()
    expect(typed).to_have_count(0)
    choose(JUDGED, "no")
    expect(marked).to_contain_text("Rows marked: 1")
    expect(typed).to_have_value("half a lab")

    page.evaluate("""() => {
        document.querySelector("#answer-wall .apply").click();
        document.querySelectorAll("#answer-wall article")[2].querySelectorAll(".actions button")[1].click();
    }""")  # the third row is marked while the first one's mark is being carried out

    expect(page.get_by_text("0 labels corrected, 1 rows excluded")).to_be_visible()
    expect(cards.nth(0)).not_to_have_class("marked")
    expect(cards.nth(2)).to_have_class("marked")
    expect(marked).to_contain_text("Rows marked: 1")
    expect(typed).to_have_value("half a lab")
    assert served.datasets.get(MARKED).statistics.rows == 3

    on_their_way: list[Route] = []
    page.route("**/queue/join*", lambda route: on_their_way.append(route))
    marked.locator(".apply").click()
    choose(OTHER, "never")  # before the marks of the first one arrive
    on_their_way[0].continue_()
    page.unroute("**/queue/join*")
    for _ in range(100):
        if served.datasets.get(MARKED).statistics.rows == 2:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)  # what was done is told
    expect(cards.first.locator(".of-0")).to_contain_text("never")
    expect(page.locator("#evaluation-report h2")).to_have_text("other")
    cards.nth(3).get_by_role("button", name="Exclude").click()
    with page.expect_request("**/queue/join*") as request:
        marked.locator(".apply").click()
    assert f'"run_id":"{OTHER}"' in str(request.value.post_data)
    expect(marked).to_be_hidden()
    choose(JUDGED, "no")
    expect(marked).to_be_hidden()

    open_tab(page, "runs")  # an evaluation has no curve, whatever metric is chosen while it is looked at
    page.locator(f"[data-choose='{JUDGED}']").click()
    expect(page.locator("#run-tiles h2")).to_have_text("judged")
    page.locator("#run-chart select").dispatch_event("change")
    page.evaluate("() => window.studio.watcher.redraw()")
    assert page.locator(f"[data-choose='{JUDGED}']").count() == 1
    assert page.locator(f"[data-compare='{JUDGED}']").count() == 0


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
        percent = float(shown.nth(place).inner_text().rstrip("%"))
        assert percent == pytest.approx(100 * side.measures[decisive].value, abs=0.051)
    expect(page.locator("#evaluation-report .verdict")).to_contain_text(re.compile("cannot tell|better|worse"))
