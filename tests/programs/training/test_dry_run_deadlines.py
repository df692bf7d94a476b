"""What rewards that never return cost a dry run."""

import subprocess
import sys

import pytest

from backend.rewards.contract import RewardSource
from backend.rewards.sandbox.client import WorkerLimits
from backend.rewards.trl_reward import TrlReward
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

pytestmark = pytest.mark.torch

DEADLINE_S = 5.0
HANGS = "import time\ndef reward(completions, **columns):\n    print(time.monotonic())\n    time.sleep(600)\n"


def test_r22_rewards_are_asked_before_the_training_stack_is_imported():
    names = "{'torch', 'transformers', 'peft'}"
    program = f"import sys, backend.programs.training.reward_dry_run\nprint(*{names} & set(sys.modules))"

    told = subprocess.run((sys.executable, "-c", program), capture_output=True, text=True, check=True)

    assert told.stdout == "\n"


def test_r22_rewards_that_do_not_return_cost_one_deadline_together(tmp_path):
    from backend.programs.training.reward_dry_run import _scored

    (tmp_path / "run").mkdir()
    names = ("one", "other")
    spec = RunSpec().with_values({"kind": "grpo", "grpo.rewards": [{"name": name} for name in names]})
    rewards = [
        TrlReward(RewardSource(name, HANGS, "own"), WorkerLimits(seconds=DEADLINE_S), RunFolder(tmp_path / "run"))
        for name in names
    ]
    columns = {"prompt": [{"role": "user", "content": "How many?"}], "answer": "7"}
    try:
        first, second = (_scored("gold", ["7"], columns, spec, rewards)[0] for _ in range(2))
    finally:
        for reward in rewards:
            reward.close()

    lost = f"No answer within {DEADLINE_S:g} s (line 4)"
    assert first.problems == dict.fromkeys(names, lost)
    assert second.problems == dict.fromkeys(names, f"Not asked again: {lost}")
    begun, also = map(float, first.printed.split())
    assert abs(begun - also) < DEADLINE_S  # side by side
