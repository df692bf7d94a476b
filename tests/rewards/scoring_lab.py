"""Call rewards in the test's own process; the studio never does."""

from collections.abc import Callable
from typing import Any

from backend.rewards.builtin_library import builtin_source


def load_reward(text: str) -> Callable[..., list[Any]]:
    """The `reward` that a source binds."""
    names: dict[str, Any] = {"__name__": "tried"}
    exec(compile(text, "reward.py", "exec"), names)
    return names["reward"]


def scores_of(name: str, gold: str, *answers: str) -> list[Any]:
    """What a ready reward pays for answers to one question."""
    return scores_by(builtin_source(name).text, gold, *answers)


def scores_by(text: str, gold: str, *answers: str) -> list[Any]:
    """What any source pays for answers to one question."""
    golds = [gold] * len(answers)
    return load_reward(text)(
        prompts=[[]] * len(answers), completions=list(answers), answer=golds, solution=golds, id=["1"] * len(answers)
    )
