"""Alarms while learning from rewards: each is given when its curve asks for it, once, and never without."""

import pytest

from backend.programs.training.grpo_warnings import SILENT_STEPS, WINDOW, MetricWarnings

CALM = {"reward": 0.5, "frac_reward_zero_std": 0.3, "completions/clipped_ratio": 0.0, "entropy": 0.6,
        "completions/mean_length": 10.0, "kl": 0.01, "rewards/mine/error_rate": 0.0}  # fmt: skip


def said_after(*phases: tuple[int, dict[str, float]]) -> list[str]:
    alarms, step, said = MetricWarnings(), 0, []
    for steps, changes in phases:
        for _ in range(steps):
            step += 1
            said += alarms.update(step, CALM | changes)
    return said


def test_a_calm_run_is_left_in_peace():
    assert said_after((200, {})) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"frac_reward_zero_std": 0.9}, "90% of the last groups every answer earned the same"),
        ({"completions/clipped_ratio": 0.5}, "50% of the answers were cut"),
        ({"entropy": 0.01}, "nearly certain (entropy 0.60 at first, 0.010 now)"),
        ({"reward": 0.8, "completions/mean_length": 31.0}, "grow from 10 to 31 tokens"),
        ({"kl": 3.0}, "runs away from where it started (KL 3.0)"),
        ({"rewards/mine/error_rate": 0.4}, "`mine` gives no value for 40% of the answers"),
    ],
)
def test_each_trouble_is_told_once_and_again_only_after_a_while(changes, words):
    first = said_after((WINDOW, {}), (2 * WINDOW, changes))
    later = said_after((WINDOW, {}), (WINDOW + SILENT_STEPS + 5, changes))

    assert len(first) == 1
    assert words in later[1]
    assert len(later) == 2


def test_longer_answers_alone_are_no_trouble():
    assert said_after((WINDOW, {}), (30, {"completions/mean_length": 40.0})) == []


def test_a_reward_that_rises_while_held_out_rows_get_worse_is_told():
    alarms = MetricWarnings()
    for step in range(WINDOW):
        alarms.update(step, CALM)
    assert alarms.update_evaluation(10, {"exact_match": 0.6}) == []
    for step in range(11, 11 + WINDOW):
        alarms.update(step, CALM | {"reward": 0.9})

    [text] = alarms.update_evaluation(30, {"exact_match": 0.4})

    assert "from 0.50 to 0.90" in text
    assert "fell from 60% to 40%" in text


def test_a_missing_value_is_no_value():
    assert MetricWarnings().update(1, {"reward": None, "frac_reward_zero_std": None}) == []
