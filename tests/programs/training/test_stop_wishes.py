"""P13: a wish to stop is obeyed wherever the run is, by all of its processes, and with its model saved."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from backend.jsonl import write_atomically
from backend.programs.training.evaluation import EvaluationInterrupted, Evaluator
from backend.runs.events import read_all

pytestmark = pytest.mark.torch

WISH = '{"mode": "save", "asked_at": 1.0}'


def wish_when_it_evaluates(folder: Path) -> None:
    """Write the wish once the run says that it evaluates on the way."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        said = read_all(folder / "events.jsonl") if (folder / "events.jsonl").is_file() else []
        if any(each.values.get("phase") == "evaluating" and each.step for each in said):
            write_atomically(folder / "stop.json", WISH.encode())
            return
        time.sleep(0.001)


@pytest.mark.parametrize("processes", [1, 2])
def test_p13_a_stop_while_it_evaluates_is_not_put_off_by_a_step(lab, processes: int) -> None:
    name = f"stopped in an evaluation by {processes}"
    changes = {"evaluation.rows": 8, "evaluation.every_steps": 2, "optimiser.max_steps": 50,
               "devices.processes": processes, "batching.batch_size": 2}  # fmt: skip
    watcher = threading.Thread(target=wish_when_it_evaluates, args=(lab.workspace.output / name.replace(" ", "-"),))
    watcher.start()

    folder = lab.train({name: lab.spec(changes)}, processes)[name]

    watcher.join()
    told = read_all(folder.events)
    assert (told[-1].kind, told[-1].values) == ("end", {"outcome": "stopped", "saved": True})
    assert max(each.step for each in told if "loss" in each.values) <= 4  # of 50: that evaluation's, or the next one's
    assert folder.has_final_model


@pytest.fixture
def evaluated(lab) -> tuple[Evaluator, Any]:
    """What evaluates eight rows, and a model that learns."""
    from backend.programs.model.packing import Collator
    from backend.programs.model.prompts import validation_questions
    from backend.row_length import RowMeter
    from tests.programs.training.test_every_knob import model_and_encoder

    spec = lab.spec({"evaluation.rows": 8})
    model, encoder = model_and_encoder(lab, spec)
    evaluator = Evaluator(
        spec,
        validation_questions(spec, lab.workspace, RowMeter(lab.base)),
        encoder,
        Collator(encoder, packing=True, needs_image=False),
    )
    return evaluator, model.train()


def test_p13_an_evaluation_that_is_unwanted_is_left_at_its_next_batch(evaluated) -> None:
    evaluator, model = evaluated

    with pytest.raises(EvaluationInterrupted):
        evaluator.evaluate(model, lambda: True)

    assert model.training
    assert evaluator.evaluate(model).predictions


def test_long_rows_are_evaluated_fewer_at_a_time_with_the_same_result(evaluated, monkeypatch) -> None:
    evaluator, model = evaluated
    asked: list[None] = []
    together = evaluator.evaluate(model, lambda: asked.append(None))  # type: ignore[func-returns-value]
    batches = len(asked)
    monkeypatch.setattr("backend.programs.training.evaluation.TOKENS_AT_ONCE", 1)

    alone = evaluator.evaluate(model, lambda: asked.append(None))  # type: ignore[func-returns-value]

    assert (batches, len(asked) - batches) == (2, 2 * len(alone.predictions))  # for the loss, and for the answers
    assert alone.metrics == pytest.approx(together.metrics, abs=1e-5)
    assert [each.given for each in alone.predictions] == [each.given for each in together.predictions]
