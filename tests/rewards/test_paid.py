"""Rewards as a training calls them: what they report of themselves."""

from pathlib import Path

from reward_lab import QUICK, source

from backend.rewards.paid import PaidReward
from backend.runs.folder import RunFolder


def test_a_metric_with_the_name_of_a_reported_one_is_kept_beside_it(tmp_path: Path):
    text = (
        "def reward(completions, log_metric):\n"
        "    for name in ('mean', 'std', 'error_rate', 'seconds', 'depth'):\n"
        "        log_metric(name, 40)\n"
        "    return [0.5] * len(completions)\n"
    )
    (tmp_path / "run").mkdir()
    reward = PaidReward(source(text), QUICK, RunFolder(tmp_path / "run"))
    told: dict[str, float] = {}
    try:
        paid = reward(
            [[{"role": "user", "content": "Which?"}]],
            [[{"role": "assistant", "content": "That"}]],
            log_metric=told.__setitem__,
        )
    finally:
        reward.close()

    name = f"rewards/{reward.__name__}"
    assert paid == [0.5]
    assert told.pop(f"{name}/seconds") < 40
    assert told == {
        f"{name}/error_rate": 0.0,
        **{f"{name}/logged/{each}": 40.0 for each in ("mean", "std", "error_rate", "seconds")},
        f"{name}/depth": 40.0,
    }
