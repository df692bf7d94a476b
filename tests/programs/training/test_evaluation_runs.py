"""Evaluations with real models: who answers, what is kept, what the report says."""

import os
from pathlib import Path

import pytest

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.probes import PROBES, prepare_probes
from backend.metrics.bootstrap import paired_interval
from backend.metrics.library import METRICS
from backend.metrics.metric import MetricInput
from backend.recipes.evaluation import evaluation_spec
from backend.recipes.resolve import resolve
from backend.rewards.store import RewardStore, copy_reward_sources
from backend.runs.answers import read_answers
from backend.runs.evaluation_report import read_report
from backend.runs.events import EventWriter, read_all
from backend.runs.folder import RunFolder, StopRecord
from backend.spec.files import KNOBS
from tests.programs.training.training_lab import Lab

pytestmark = pytest.mark.torch

REAL = os.environ.get("STUDIO_REALDATA")
TONE = """def reward(completions: list[str], **columns):
    return [float("e" in text) if text else None for text in completions]
"""
CHANGES = {"comparison.max_new_tokens": 8, "comparison.batch_size": 3, "devices.threads": 1}


@pytest.fixture(scope="module")
def trained(lab: Lab) -> str:
    """A run that taught an adapter, with the vision tower, what colour a plain image has."""
    spec = lab.spec(
        {
            "strategy.name": "lora_llm_full_vit", "model.base": "demo", "optimiser.max_steps": 60,
            "optimiser.language_rate": 5e-3, "evaluation.rows": 3, "evaluation.own_metrics": ["tone"],
        }
    )  # fmt: skip
    RewardStore(lab.workspace).save("tone", TONE)
    spec = resolve(spec, lab.workspace)
    folder = lab.train({"evaluated": spec})["evaluated"]
    return folder.run_id


def evaluated(
    lab: Lab, name: str, checkpoints: list[str], check: str = "quality", datasets: tuple[str, ...] = ("mixed",),
    **changes: object,
) -> RunFolder:  # fmt: skip
    from backend.programs.evaluation.program import evaluate

    dotted = {path.replace("__", "."): value for path, value in changes.items()}
    names = [] if check == "forgetting" else list(datasets)
    spec = resolve(evaluation_spec(check, checkpoints, names, CHANGES | dotted), lab.workspace)
    folder = RunFolder(lab.workspace.output / f"evaluation-{name}")
    folder.path.mkdir()
    copy_reward_sources(spec, folder, lab.workspace)
    folder.spec.write_text(spec.model_dump_json())
    events = EventWriter(folder.events)
    evaluate(folder, events)
    events.close()
    return folder


@pytest.fixture(scope="module")
def compared(lab: Lab, trained: str) -> RunFolder:
    return evaluated(
        lab, "compared", [trained, "demo"], comparison__split="all",
        comparison__metrics=["exact_match", "similarity", "bleu", "tone"],
    )  # fmt: skip


def test_every_row_is_answered_by_every_contestant_in_the_order_of_the_rows(lab, compared):
    rows = [row.id for row in DatasetStore(lab.workspace).rows("mixed")]

    for number in (0, 1):
        answers = read_answers(compared.answers, number)
        assert [answer.row for answer in answers] == rows
        assert [answer.place for answer in answers] == list(range(len(rows)))
    assert read_all(compared.events)[-1].values == {"outcome": "finished", "saved": True}


def test_the_report_says_what_a_hand_run_of_the_metrics_says(compared):
    report, answers = read_report(compared.report), [read_answers(compared.answers, number) for number in (0, 1)]

    for side, given in zip(report.sides, answers, strict=True):
        pairs = [MetricInput(answer.gold, answer.given) for answer in given]
        for name in ("exact_match", "similarity", "bleu"):
            assert side.measures[name].value == pytest.approx(METRICS[name].of(pairs), abs=1e-12)
            assert side.measures[name].low <= side.measures[name].value <= side.measures[name].high
        assert side.cut == sum(answer.is_cut for answer in given)
    scores = [[answer.scores["similarity"] for answer in given] for given in answers]
    gain = paired_interval(scores[1], scores[0])
    told = next(each for each in report.differences if each.metric == "similarity")
    assert (told.value, told.n) == (pytest.approx(gain.value), gain.n)
    assert told.verdict == ("better" if told.low > 0 else "undecided")
    assert told.verdict == "better", "the adapter learned nothing: the comparison proves nothing"
    assert report.conclusion.code == "compared"


@pytest.mark.skipif(not REAL, reason="STUDIO_REALDATA names no folder with the real sets")
def test_real_sets_give_the_numbers_of_a_hand_run_too(lab, trained):
    store = DatasetStore(lab.workspace)
    for name in ("qwen_official", "llamafactory"):
        store.import_dataset(Path(str(REAL)) / name, ImportOptions(name=name.replace("_", "-"), validation_share=0.0))
    folder = evaluated(
        lab, "real", [trained, "demo"], datasets=("qwen-official", "llamafactory"), comparison__split="all"
    )

    report = read_report(folder.report)
    assert set(report.sides[0].groups) == {"qwen-official", "llamafactory"}
    for number, side in enumerate(report.sides):
        pairs = [MetricInput(each.gold, each.given, each.references) for each in read_answers(folder.answers, number)]
        assert len(pairs) == report.rows > 5
        for facts in report.metrics:
            by_hand = METRICS[facts.name].of(pairs)
            told = side.measures.get(facts.name)
            assert (told and told.value) == (by_hand if by_hand is None else pytest.approx(by_hand, abs=1e-12))
    assert report.conclusion.text


def test_an_own_metric_is_measured_in_an_evaluation_and_during_training(lab, trained, compared):
    from backend.runs.answers import read_predictions, recorded_steps

    answers = read_answers(compared.answers, 0)
    known = [float("e" in answer.given) for answer in answers if answer.given]
    assert read_report(compared.report).sides[0].measures["tone"].value == pytest.approx(sum(known) / len(known))
    assert next(each for each in read_report(compared.report).metrics if each.name == "tone").is_own

    training = RunFolder(lab.workspace.output / trained)
    last = recorded_steps(training.predictions)[-1]
    given = read_predictions(training.predictions, last)
    assert [each.scores["tone"] for each in given if each.given] == [
        float("e" in each.given) for each in given if each.given
    ]
    told = [event.values["tone"] for event in read_all(training.events) if "tone" in event.values]
    assert len(told) == 2, "at the start and at the end"


def test_batches_of_any_size_give_the_same_answers(lab, trained, compared):
    alone = evaluated(lab, "alone", [trained], comparison__split="all", comparison__batch_size=1)
    together = evaluated(lab, "together", [trained], comparison__split="all", comparison__batch_size=32)

    one, many, three = (
        [answer.given for answer in read_answers(folder.answers, 0)] for folder in (alone, together, compared)
    )
    assert one == many == three


def test_the_images_of_a_check_are_grey_or_those_of_other_rows(lab, trained):
    folder = evaluated(lab, "image", [trained], "image", comparison__split="all")
    own, blank, shuffled = ([answer.given for answer in read_answers(folder.answers, number)] for number in range(3))
    with_image = [bool(answer.images) for answer in read_answers(folder.answers, 0)]

    assert [side.label for side in read_report(folder.report).sides] == [
        trained, f"{trained} · blank images", f"{trained} · other rows' images"
    ]  # fmt: skip
    for other in (blank, shuffled):
        assert [a for a, has in zip(own, with_image, strict=True) if not has] == [
            a for a, has in zip(other, with_image, strict=True) if not has
        ]
        assert [a for a, has in zip(own, with_image, strict=True) if has] != [
            a for a, has in zip(other, with_image, strict=True) if has
        ]
    assert read_report(folder.report).conclusion.code.startswith("image_")
    assert not list(folder.path.glob(".evaluation*")), "grey images are removed"


def test_no_row_is_shown_its_own_image_when_images_are_exchanged(lab, trained, tmp_path):
    from backend.programs.evaluation.rows import chosen_rows, questions_for
    from backend.row_length import RowMeter

    spec = resolve(evaluation_spec("image", [trained], ["mixed"], CHANGES | {"comparison.split": "all"}), lab.workspace)
    rows = chosen_rows(spec, lab.workspace)
    questions = questions_for(rows, spec, "shuffled", RowMeter(lab.base), tmp_path)

    for asked, question in zip(rows, questions, strict=True):
        assert not {path.name for path in question.images} & {name.split("/")[-1] for name in asked.row.images}
        assert len(question.images) == len(asked.row.images)


def test_merged_and_in_4_bits_the_checkpoint_is_asked_the_same_rows(lab, trained):
    report = read_report(evaluated(lab, "export", [trained], "export").report)
    merged, four_bit = report.agreements

    assert [side.contestant.form for side in report.sides] == ["saved", "merged", "4bit"]
    assert (merged.same, merged.rows) == (report.rows, report.rows), "merging in fp32 changes no answer"
    assert 0 <= four_bit.same <= report.rows
    assert report.conclusion.code in ("export_same", "export_differs")


def test_what_was_forgotten_is_told_by_ability(lab, trained):
    prepare_probes(DatasetStore(lab.workspace))
    report = read_report(evaluated(lab, "forgetting", [trained, "demo"], "forgetting").report)

    assert report.rows == DatasetStore(lab.workspace).get(PROBES).statistics.validation_rows
    assert len(report.sides[0].groups) > 4
    assert report.conclusion.code in ("forgotten", "not_forgotten", "nothing_to_forget")


def test_an_evaluation_that_is_stopped_keeps_what_was_answered(lab, trained):
    from backend.programs.evaluation.program import EvaluationRun

    folder = RunFolder(lab.workspace.output / "evaluation-stopped")
    folder.path.mkdir()
    spec = resolve(
        evaluation_spec("quality", [trained], ["mixed"], CHANGES | {"comparison.split": "all"}), lab.workspace
    )
    folder.spec.write_text(spec.model_dump_json())
    events = EventWriter(folder.events)
    evaluation = EvaluationRun(folder, events)
    answered = evaluation._answered

    def once(*asked):
        folder.stop.write_text(StopRecord(mode="save", asked_at=0.0).model_dump_json())
        return answered(*asked)

    evaluation._answered = once
    evaluation.run()
    events.close()

    assert len(read_answers(folder.answers, 0)) == 3
    assert not folder.report.exists()
    assert read_all(folder.events)[-1].values["outcome"] == "stopped"


def of(lab: Lab, trained: str, **changes: object):
    """An evaluation that is ready to ask, and its spec."""
    from backend.programs.evaluation.program import EvaluationRun

    dotted = {path.replace("__", "."): value for path, value in changes.items()}
    spec = resolve(evaluation_spec("quality", [trained], ["mixed"], CHANGES | dotted), lab.workspace)
    folder = RunFolder(lab.workspace.output / f"ready-{len(list(lab.workspace.output.iterdir()))}")
    folder.path.mkdir()
    folder.spec.write_text(spec.model_dump_json())
    events = EventWriter(folder.events)
    evaluation = EvaluationRun(folder, events)
    events.close()
    return evaluation


def test_every_knob_of_an_evaluation_changes_what_is_asked(lab, trained, compared):
    def batches(**changes: object) -> list[list[int]]:
        evaluation = of(lab, trained, **changes)
        return list(evaluation._batches(evaluation._prompts[0]))

    def rows(**changes: object) -> list[str]:
        return [asked.row.id for asked in of(lab, trained, **changes)._rows]

    assert {len(batch) for batch in batches(comparison__batch_size=2)} == {2}
    assert len(batches()) < len(batches(comparison__batch_size=2))
    every, held, learned = (rows(comparison__split=split) for split in ("all", "validation", "train"))
    assert sorted([*held, *learned]) == sorted(every)
    assert 0 < len(held) < len(learned)
    assert len(rows(comparison__limit=3, comparison__split="all")) == 3
    assert rows(comparison__limit=3, comparison__split="all") != rows(
        comparison__limit=3, comparison__split="all", data__seed=7
    )
    report = read_report(compared.report)
    assert [facts.name for facts in report.metrics] == ["exact_match", "similarity", "bleu", "tone"]
    assert max(answer.tokens for answer in read_answers(compared.answers, 0)) <= CHANGES["comparison.max_new_tokens"]
    assert {path for path in KNOBS if path.startswith("comparison.")} == {
        "comparison.split", "comparison.limit", "comparison.metrics", "comparison.batch_size",
        "comparison.max_new_tokens",
    }  # fmt: skip
