"""Every knob of learning from rewards changes what the program does or sends."""

from typing import Any

import pytest

from backend.runs.folder import RunFolder
from backend.spec.files import KNOBS
from backend.spec.run import RunSpec
from tests.knob_values import NEEDED, OTHER_VALUES
from tests.programs.training.test_every_knob import Witness, rows_of
from tests.programs.training.training_lab import SOURCES, Lab

pytestmark = pytest.mark.torch


def arguments(lab: Lab, spec: RunSpec) -> Any:
    """What TRL is told."""
    from backend.programs.model.loading import choose_precision
    from backend.programs.training.build_trainer import grpo_arguments

    folder = RunFolder(lab.workspace.root / "arguments-grpo")
    folder.path.mkdir(exist_ok=True)
    folder.deepspeed.write_text("{}")
    said = grpo_arguments(spec, folder, choose_precision("fp32"), 10).to_dict()
    return {name: value for name, value in said.items() if name not in ("output_dir", "logging_dir", "deepspeed")}


def asked(lab: Lab, spec: RunSpec) -> Any:
    """Which questions are asked, how often."""
    from backend.programs.training.batch_sampler import GrpoBatchSampler

    return list(GrpoBatchSampler(spec, rows_of(lab, spec), spec.processes, 0))


def paid(lab: Lab, spec: RunSpec) -> Any:
    """By whom, and within which limits."""
    from backend.rewards.trl_reward import build_rewards

    folder = RunFolder(lab.workspace.root / "paid")
    folder.rewards.mkdir(parents=True, exist_ok=True)
    for name, text in SOURCES.items():
        (folder.rewards / f"{name}.py").write_text(text)
    return [(each.__name__, each.worker.limits) for each in build_rewards(spec, folder, [])]


def looked_at(lab: Lab, spec: RunSpec) -> Any:
    """Rows of a dry run."""
    from backend.programs.training.reward_dry_run import chosen_questions
    from backend.row_length import RowMeter

    return [question.row.id for question in chosen_questions(spec, lab.workspace, RowMeter(lab.base))]


WITNESSES: dict[str, Witness] = {
    "grpo.rewards": paid, "grpo.generations": asked, "grpo.iterations": asked, "grpo.reuse": asked,
    "grpo.reward_seconds": paid, "grpo.reward_memory_gb": paid, "grpo.check_rows": looked_at,
} | {f"grpo.{name}": arguments for name in (
    "temperature", "top_p", "top_k", "repetition_penalty", "max_completion_tokens", "loss", "importance_sampling",
    "scale_rewards", "aggregation", "epsilon", "epsilon_high", "delta", "mask_truncated", "top_entropy",
    "entropy_bonus", "vllm",
)}  # fmt: skip
# test_grpo.py measures KL against the model it started from; tests/road gives up after so many failures
IN_A_RUN = {"grpo.beta", "grpo.failed_batches"}
VALUES: dict[str, object] = {
    "grpo.generations": 8,
    "grpo.rewards": [{"name": "letters", "weight": 2.0}, {"name": "parts"}],
}


def test_every_knob_of_rewards_has_its_witness():
    assert set(WITNESSES) | IN_A_RUN == {path for path in KNOBS if path.startswith("grpo.")}


@pytest.mark.parametrize("path", WITNESSES)
def test_changing_a_knob_changes_what_the_program_does(path, lab):
    before = lab.rewarded({"batching.batch_size": 48, "grpo.check_rows": 3} | NEEDED.get(path, {}))
    after = before.with_values({path: VALUES.get(path, OTHER_VALUES[path])})

    assert WITNESSES[path](lab, after) != WITNESSES[path](lab, before)
