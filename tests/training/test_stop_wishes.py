"""P13: a wish to stop is obeyed wherever the run is, by all of its processes, and with its model saved."""

import threading
import time
from pathlib import Path

import pytest

from backend.runs.events import read_all
from backend.training.evaluation import Abandoned, Evaluator

pytestmark = pytest.mark.torch

WISH = '{"mode": "save", "asked_at": 1.0}'


def wish_when_it_evaluates(folder: Path) -> None:
    """Write the wish once the run says that it evaluates on the way."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        said = read_all(folder / "events.jsonl") if (folder / "events.jsonl").is_file() else []
        if any(each.values.get("phase") == "evaluating" and each.step for each in said):
            (folder / "stop.json").write_text(WISH)
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


def test_p13_an_evaluation_that_is_unwanted_is_left_at_its_next_batch(lab) -> None:
    from backend.lengths import RowMeter
    from backend.model.asking import heldout_questions
    from backend.model.packing import Collator
    from tests.training.test_every_knob import model_and_encoder

    spec = lab.spec({"evaluation.rows": 8})
    model, encoder = model_and_encoder(lab, spec)
    evaluator = Evaluator(
        spec,
        heldout_questions(spec, lab.workspace, RowMeter(lab.base)),
        encoder,
        Collator(encoder, packing=True, needs_picture=False),
    )
    model.train()

    with pytest.raises(Abandoned):
        evaluator.evaluate(model, lambda: True)

    assert model.training
    assert evaluator.evaluate(model).predictions
