"""What the tests of rewards share: batches, and a worker made from a few lines."""

from backend.conversation import Message
from backend.rewards.client import RewardWorker, WorkerLimits
from backend.rewards.contract import RewardBatch, RewardSource, Scores

QUICK = WorkerLimits(seconds=5.0)


def batch(*completions: str, **columns: list) -> RewardBatch:
    asked = (Message(role="user", content="<image>How many?"),)
    return RewardBatch(
        prompts=(asked,) * len(completions),
        completions=completions or ("a", "bb"),
        completion_ids=tuple(tuple(range(len(text))) for text in completions or ("a", "bb")),
        columns=columns,
        step=3,
        total_steps=40,
    )


def source(text: str, name: str = "mine") -> RewardSource:
    return RewardSource(name, text, "own")


def worker(text: str, limits: WorkerLimits = QUICK, **more) -> RewardWorker:
    return RewardWorker(source(text), limits, **more)


def returning(expression: str) -> str:
    """The source of a reward that returns this for every batch."""
    return f"def reward(completions, **kwargs):\n    return {expression}\n"


def scored(text: str, asked: RewardBatch | None = None, limits: WorkerLimits = QUICK) -> Scores:
    with worker(text, limits) as started:
        return started.score(asked or batch())
