"""Rewards as a training calls them: what they report of themselves."""

from pathlib import Path

from reward_lab import QUICK, batch, source

from backend.rewards.sandbox import client
from backend.rewards.sandbox.client import LOAD_S, WorkerLimits
from backend.rewards.trl_reward import TrlReward
from backend.runs.folder import RunFolder


def test_a_metric_with_the_name_of_a_reported_one_is_kept_beside_it(tmp_path: Path):
    text = (
        "def reward(completions, log_metric):\n"
        "    for name in ('mean', 'std', 'error_rate', 'seconds', 'depth'):\n"
        "        log_metric(name, 40)\n"
        "    return [0.5] * len(completions)\n"
    )
    (tmp_path / "run").mkdir()
    reward = TrlReward(source(text), QUICK, RunFolder(tmp_path / "run"))
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


def asked_of(text: str, tmp_path: Path, times: int, seconds: float, *, is_dry_run: bool) -> list[str]:
    """What a reward says each time it is asked, as a dry run or an evaluation asks."""
    (tmp_path / "run").mkdir()
    reward = TrlReward(source(text), QUICK._replace(seconds=seconds), RunFolder(tmp_path / "run"))
    try:
        scores = [reward.score_unless_lost(batch("a"), is_dry_run=is_dry_run) for _ in range(times)]
    finally:
        reward.close()
    return [each.failure.message if each.failure else "" for each in scores]


HANGS = "import time\ndef reward(completions, **columns):\n    time.sleep(600)\n"
DIES_LATE = "import os, time\ndef reward(completions, **columns):\n    time.sleep(3)\n    os._exit(3)\n"
DIES = "import os\ndef reward(completions, **columns):\n    os._exit(3)\n"


def test_r22_a_reward_that_hangs_is_asked_once_in_a_dry_run_and_the_other_answers_say_so(tmp_path):
    said = asked_of(HANGS, tmp_path, 4, 0.5, is_dry_run=True)

    assert said == ["No answer within 0.5 s", *["Not asked again: No answer within 0.5 s"] * 3]


def test_r22_an_import_that_hangs_too(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "LOAD_S", 0.5)

    said = asked_of("import time\ntime.sleep(600)", tmp_path, 3, 0.5, is_dry_run=True)

    assert said == ["No answer within 0.5 s", *["Not asked again: No answer within 0.5 s"] * 2]
    assert WorkerLimits().seconds >= LOAD_S


def test_r22_deaths_that_take_long_are_no_way_around_it(tmp_path):
    said = asked_of(DIES_LATE, tmp_path, 4, 5.0, is_dry_run=True)

    died = "The worker ended with exit code 3"
    assert said == [died, died, f"Not asked again: {died}", f"Not asked again: {died}"]


def test_r22_quick_deaths_may_come_three_times(tmp_path):
    said = asked_of(DIES, tmp_path, 5, 5.0, is_dry_run=True)

    died = "The worker ended with exit code 3"
    assert said == [*[died] * 3, *[f"Not asked again: {died}"] * 2]


def test_an_evaluation_asks_one_that_hangs_again(tmp_path):
    said = asked_of(HANGS, tmp_path, 4, 0.3, is_dry_run=False)

    assert said == [*["No answer within 0.3 s"] * 3, "Not asked again: No answer within 0.3 s"]
