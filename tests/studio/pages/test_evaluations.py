"""The Evaluate page's data: the wall of answers, what marks on it change, the report in words, and who may be asked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.datasets.store import DatasetStore, ImportOptions
from backend.errors import DatasetError, SpecError, StudioError
from backend.ids import RunId
from backend.programs.evaluation.scoring import ContestantAnswers, build_report
from backend.recipes.evaluation import boxes_of_contestants, evaluation_spec
from backend.recipes.library import load_recipe
from backend.recipes.preview import command_of_run
from backend.recipes.resolve import resolve
from backend.rewards.store import RewardStore
from backend.runs.answers import Answer, AnswerWriter, answers_path, read_answers
from backend.runs.evaluation_report import write_report
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store.views import RunView
from studio.models import base_of
from studio.pages.evaluate import layout as evaluate
from studio.pages.evaluate import routes as evaluations
from studio.pages.evaluate.answers import PAGE, RowQuery, wall_page
from studio.pages.evaluate.label_fixes import HARD_SET, apply_changes, changes_of
from studio.pages.evaluate.results import RunningMeans, report_view
from studio.services import Services, build_services
from studio.ui.i18n import translator
from studio.web.responses import on_studio_error
from tests.datasets.dataset_lab import folder_of
from tests.programs.training.training_lab import mixed_rows

RUN = "20260101-000000-measured"
T = translator("en")
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    services = build_services(workspace)
    upload = folder_of(tmp_path / "upload", mixed_rows(images=10, texts=0))
    services.datasets.import_dataset(upload, ImportOptions(name="colours", validation_share=0.4))
    yield services
    services.runs.close()


def asked(services: Services, *checkpoints: str, **changes: object) -> RunSpec:
    dotted = {path.replace("__", "."): value for path, value in changes.items()}
    given = {"comparison.split": "all", "comparison.metrics": ["exact_match", "cer"]} | dotted
    return resolve(evaluation_spec("quality", checkpoints, ["colours"], given), services.workspace)


def answers_of(store: DatasetStore, given: list[str]) -> list[Answer]:
    found = []
    for place, (row, text) in enumerate(zip(store.rows("colours"), given, strict=False)):
        gold = row.messages[-1].content
        scores = {"exact_match": float(text == gold), "cer": 0.0 if text == gold else 1.0 + len(text)}
        found.append(
            Answer(place=place, row=row.id, dataset="colours", images=row.images, asked=row.messages[:-1], gold=gold,
                   given=text, frame=(56, 56), tokens=3, is_cut=text == "cut", scores=scores)
        )  # fmt: skip
    return found


@pytest.fixture
def measured(services: Services) -> RunView:
    """An evaluation of two models that is over: the first right on four rows, the second on two."""
    spec = asked(services, "demo")
    twice = [{"checkpoint": "demo"}, {"checkpoint": "demo", "images": "blank"}]
    spec = spec.with_values({"comparison.contestants": twice})
    folder = RunFolder(services.workspace.output / RUN)
    folder.path.mkdir()
    golds = [row.messages[-1].content for row in services.datasets.rows("colours")]
    first = [*golds[:4], "cut", HOSTILE, "no", "no", "no", "x"]
    second = golds[:2] + ["other"] * 3 + [HOSTILE] + ["no"] * 4
    said = []
    for number, given in enumerate((first, second)):
        found = answers_of(services.datasets, given)
        with AnswerWriter(folder.answers, number) as writer:
            writer.add(list(reversed(found)))
        said.append(ContestantAnswers(found, 2.0, (784, 7840)))
    folder.spec.write_text(spec.model_dump_json())
    write_report(folder.report, build_report(spec, said, too_long=1))
    services.runs.add(RunId(RUN), spec, 1.0)
    services.runs.transition(RunId(RUN), "finished", ("queued",))
    return services.runs.get(RunId(RUN))


def test_answers_come_back_in_the_order_of_the_rows_and_a_torn_line_harms_none(measured):
    with (measured.folder.answers / "0.jsonl").open("ab") as sink:
        sink.write(b'{"place": 11, "row')

    assert [answer.place for answer in read_answers(measured.folder.answers, 0)] == list(range(10))


@pytest.mark.parametrize(
    ("which", "metric", "count", "first"),
    [
        ("all", "", 10, True),
        ("worst", "", 10, False),
        ("worst", "cer", 10, False),
        ("changed", "", 4, False),
        ("disagreement", "", 2, True),
        ("cut", "", 1, False),
    ],
)
def test_the_wall_shows_what_was_asked_for_the_worst_first(measured, which, metric, count, first):
    page = wall_page(measured, RowQuery(which, metric))

    assert page["total"] == count
    assert len(page["rows"]) == min(count, PAGE)
    assert page["rows"][0]["answers"][0]["is_right"] is first
    if metric == "cer":
        scores = [row["answers"][0]["score"] for row in page["rows"]]
        assert scores == sorted(scores, reverse=True), "of an error rate the highest is the worst"


def test_a_image_and_boxes_stand_in_shares_of_the_image(measured):
    answers = read_answers(measured.folder.answers, 0)
    boxed = answers[0].model_copy(update={"gold": "[0, 14, 28, 56]", "given": "[14, 14, 70, 28]"})
    with AnswerWriter(measured.folder.answers, 0) as writer:
        writer.finish([boxed, *answers[1:]])

    row = next(row for row in wall_page(measured, RowQuery("all"))["rows"] if row["id"] == boxed.row)

    assert row["gold_boxes"] == [[0.0, 0.25, 0.5, 1.0]]
    assert row["answers"][0]["boxes"] == [[0.25, 0.25, 1.0, 0.5]]
    assert row["images"][0]["of"] == "dataset/colours"


def mark(answer: Answer, **more: str) -> dict[str, str]:
    return {"dataset": answer.dataset, "row": answer.row, **more}


def test_marks_make_one_new_version_and_a_hard_set_with_the_corrected_labels(services, measured):
    one, two, three = read_answers(measured.folder.answers, 0)[:3]
    marks = {"answers": [mark(one, text="better")], "excluded": [mark(two)], "hard": [mark(one), mark(three)]}

    told = apply_changes(services.datasets, measured, changes_of({"marks": marks}), T)

    rows = {row.id: row for row in services.datasets.rows("colours")}
    assert len(rows) == 9
    assert rows[one.row].messages[-1].content == "better"
    assert two.row not in rows
    assert sorted(row.messages[-1].content for row in services.datasets.rows(HARD_SET)) == sorted(
        ["better", three.gold]
    )
    assert len(services.datasets.versions("colours")) == 2
    assert "1 labels corrected, 1 rows excluded" in told[0]
    assert "2 rows copied" in told[1]


def test_m3_a_row_that_is_no_longer_what_was_judged_is_not_changed(services, measured):
    one, two = read_answers(measured.folder.answers, 0)[:2]
    apply_changes(services.datasets, measured, changes_of({"marks": {"answers": [mark(one, text="first")]}}), T)
    before = services.datasets.get("colours").sha256

    changes = changes_of({"marks": {"answers": [mark(one, text="second")], "excluded": [mark(two)]}})
    with pytest.raises(DatasetError, match=f"`{one.row}` has another answer now, `first`"):
        apply_changes(services.datasets, measured, changes, T)

    assert services.datasets.get("colours").sha256 == before


@pytest.mark.parametrize(
    "sent",
    [{"marks": {"answers": [{"dataset": "colours"}]}}, {"marks": {"excluded": "x"}}, {"marks": {"hard": [3]}},
     {"marks": {"answers": [{"dataset": "colours", "row": 5, "text": "x"}]}}, {"marks": 7}],
)  # fmt: skip
def test_w7_marks_that_a_browser_made_up_are_refused(sent):
    with pytest.raises(DatasetError, match="cannot be read"):
        changes_of(sent)


def test_nothing_marked_is_said(services, measured):
    with pytest.raises(DatasetError, match="No row is marked"):
        apply_changes(services.datasets, measured, changes_of({}), T)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_is_told_in_words_of_the_page(measured, language):
    from backend.runs.evaluation_report import read_report

    view = report_view(read_report(measured.folder.report), {"demo": "x"}, translator(language))

    assert view["rows"] == 10
    assert [metric["name"] for metric in view["metrics"]] == ["exact_match", "cer"]
    assert view["sides"][0]["measures"]["exact_match"]["value"] == pytest.approx(0.4)
    assert view["sides"][0]["cut"] == 1
    assert "{" not in view["conclusion"]
    assert ("cannot tell" if language == "en" else "分不出") in view["conclusion"]
    assert all("{" not in difference["text"] for difference in view["differences"])


def test_the_routes_answer_and_refuse(services, measured):
    app = FastAPI()
    app.add_exception_handler(StudioError, on_studio_error)
    app.include_router(evaluations.router(services))
    with TestClient(app) as client:
        assert client.get(f"/api/runs/{RUN}/evaluation").json()["report"]["rows"] == 10
        assert client.get(f"/api/runs/{RUN}/wall?which=changed").json()["total"] == 4
        assert client.get("/api/runs/nobody/wall").status_code == 404
        assert client.get(f"/api/runs/{RUN}/wall?which=nonsense").status_code == 422


def test_every_reason_why_an_evaluation_cannot_start_is_said_at_once(services):
    with pytest.raises(SpecError) as refused:
        resolve(
            evaluation_spec("quality", ["nobody", "demo"], ["colour"], {"comparison.metrics": ["exact", "anls"]}),
            services.workspace,
        )

    for text in ("`nobody`", "`colour`", "No metric is called `exact`"):
        assert text in refused.value.message
    assert "exact_match" in refused.value.hint


@pytest.mark.parametrize(
    ("check", "checkpoints", "said"),
    [("image", ["demo", "other"], "one checkpoint"), ("forgetting", ["demo"], "two checkpoints"),
     ("quality", [], "No checkpoint"), ("quality", ["a", "b", "c", "d"], "too many")],
)  # fmt: skip
def test_a_check_takes_as_many_checkpoints_as_it_can_use(check, checkpoints, said):
    with pytest.raises(SpecError, match=said):
        evaluation_spec(check, checkpoints, ["colours"])


def test_metrics_are_proposed_and_own_ones_are_pinned_to_their_version(services):
    assert asked(services, "demo", comparison__metrics=[]).comparison.metrics[0] == "exact_match"

    source = RewardStore(services.workspace).save("tone", "def reward(completions, **columns):\n    return [1.0]\n")
    spec = asked(services, "demo", comparison__metrics=["anls", "tone"])

    assert spec.comparison.metrics == ("anls", f"tone@{source.sha256}")
    assert " ".join(command_of_run(spec)) == "studio eval demo --dataset colours --metric anls --metric tone --rows all"


def test_a_dataset_without_such_rows_is_refused(services, tmp_path):
    upload = folder_of(tmp_path / "more", mixed_rows(images=4, texts=0))
    services.datasets.import_dataset(upload, ImportOptions(name="all-train", validation_share=0.0))

    with pytest.raises(StudioError, match="`all-train` has no validation rows"):
        resolve(evaluation_spec("quality", ["demo"], ["all-train"]), services.workspace)


def test_the_page_says_how_many_rows_each_part_has_and_asks_any_of_them(services, tmp_path):
    plain = str(mixed_rows(images=0, texts=6)["data.json"])
    files = {"train.json": plain, "test.json": plain.replace("Say", "Repeat")}
    services.datasets.import_dataset(folder_of(tmp_path / "more", files), ImportOptions(name="two", validation_share=0))

    shown = evaluate.show_parts(evaluate.EvaluatePage(services, translator("en")), "two")
    tested = evaluation_spec("quality", ["demo"], ["two"], {"comparison.split": "test"})

    assert shown.choices == [
        ("validation rows (0)", "validation"), ("test rows (6)", "test"), ("training rows (6)", "train"),
        ("all rows (12)", "all"),
    ]  # fmt: skip
    assert resolve(tested, services.workspace).comparison.split == "test"
    assert " ".join(command_of_run(tested)) == "studio eval demo --dataset two --rows test"
    with pytest.raises(StudioError, match="no validation rows") as refused:
        resolve(evaluation_spec("quality", ["demo"], ["two"]), services.workspace)
    assert refused.value.hint == "Ask its test rows: `--rows test`"


def test_an_earlier_spec_s_held_out_rows_are_its_validation_rows():
    spec = evaluation_spec("quality", ["demo"], ["colours"], {"comparison.split": "heldout"})

    assert spec.comparison.split == "validation"


def test_marks_whose_first_half_was_carried_out_can_be_sent_again(services, measured):
    one, two, three = read_answers(measured.folder.answers, 0)[:3]
    marks = {"answers": [mark(one, text="better")], "excluded": [mark(two)]}
    apply_changes(services.datasets, measured, changes_of({"marks": marks}), T)

    more = changes_of({"marks": marks | {"answers": [mark(one, text="better"), mark(three, text="best")]}})
    apply_changes(services.datasets, measured, more, T)

    rows = {row.id: row.gold for row in services.datasets.rows("colours")}
    assert (rows[one.row], rows[three.row]) == ("better", "best")
    assert two.row not in rows


def test_w7_a_row_that_was_not_judged_cannot_be_changed_from_here(services, measured):
    sent = changes_of({"marks": {"excluded": [{"dataset": "colours", "row": "nobody"}]}})

    with pytest.raises(DatasetError, match="not of this evaluation: nobody"):
        apply_changes(services.datasets, measured, sent, T)


def test_the_means_so_far_are_read_on_and_begin_anew_where_the_file_is_replaced(services, measured):
    running, path = RunningMeans(), answers_path(measured.folder.answers, 0)
    answers = read_answers(measured.folder.answers, 0)
    assert running.of(path).means["exact_match"] == pytest.approx(0.4)

    right = answers[0].model_copy(update={"place": 10, "scores": {"exact_match": 1.0, "cer": None}})
    with path.open("ab") as sink:
        sink.write(right.model_dump_json().encode() + b'\n{"place": 11, "sco')
    found = running.of(path)
    assert (found.rows, found.means["exact_match"]) == (11, pytest.approx(5 / 11))
    assert found.sums["cer"][1] == 10

    with AnswerWriter(measured.folder.answers, 0) as writer:
        writer.finish(answers[:2])
    assert running.of(path).rows == 2
    assert running.of(path.with_name("none")) is None


def test_what_a_model_was_trained_from_is_asked_for_in_words_of_the_page_or_of_a_terminal(services):
    zh = translator("zh")

    with pytest.raises(SpecError) as caught:
        evaluate.begin(evaluate.EvaluatePage(services, zh), "forgetting", "demo", "", "", None, "validation", 0, [])

    assert caught.value.message == zh("evaluate.no_base", model="demo")
    assert caught.value.hint == zh("evaluate.no_base.hint")
    with pytest.raises(SpecError, match="--compare MODEL"):
        base_of("demo", services.workspace)


def test_marks_that_were_carried_out_are_named_by_what_was_sent(services, measured):
    key = next(iter(services.datasets.rows("colours"))).id
    marks = {"answers": [], "excluded": [{"dataset": "colours", "row": key}], "hard": []}

    shown = evaluate.mend(evaluate.EvaluatePage(services, T), {"run_id": RUN, "labels": [], "sent": 7, "marks": marks})

    assert services.datasets.get("colours").statistics.rows == 9
    assert (shown["run_id"], shown["sent"]) == (RUN, 7)
    assert shown["applied"] > 0


def test_own_metrics_may_not_take_the_place_of_what_a_run_reports(services):
    spec = load_recipe("lora").spec.with_values(
        {"data.datasets": [{"name": "colours"}], "evaluation.own_metrics": ["exact_match"]}
    )

    with pytest.raises(SpecError, match="`exact_match` is reported by every run"):
        resolve(spec, services.workspace)


def test_one_metric_in_two_versions_is_refused(services):
    store = RewardStore(services.workspace)
    old = store.save("tone", "def reward(completions, **columns):\n    return [1.0]\n")
    store.save("tone", "def reward(completions, **columns):\n    return [0.0]\n")

    with pytest.raises(SpecError, match="`tone` is named in two versions"):
        asked(services, "demo", comparison__metrics=["tone", f"tone@{old.sha256}"])


def test_numbers_out_of_range_are_refused_in_words():
    with pytest.raises(SpecError, match=r"comparison\.limit"):
        evaluation_spec("quality", ["demo"], ["colours"], {"comparison.limit": 2_000_000})


def test_boxes_are_read_as_whichever_contestant_was_trained_on_these_rows(services):
    trained = load_recipe("lora").spec.with_values(
        {"data.datasets": [{"name": "colours"}], "data.boxes": "stored_pixels"}
    )
    folder = services.workspace.output / "20260101-000000-boxed"
    folder.mkdir()
    (folder / "spec.json").write_text(trained.model_dump_json())
    spec = evaluation_spec("quality", ["demo", folder.name], ["colours"])

    assert boxes_of_contestants(spec, services.workspace) == "stored_pixels"
    assert boxes_of_contestants(evaluation_spec("quality", ["demo"], ["colours"]), services.workspace) == "as_written"
