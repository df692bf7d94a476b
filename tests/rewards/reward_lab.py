"""What the tests of rewards share: batches, a worker made from a few lines, and hosts that grant it less."""

from pathlib import Path

import psutil

from backend.conversation import Message
from backend.rewards.contract import RewardBatch, RewardSource, Scores
from backend.rewards.sandbox.client import WORKER, RewardWorker, WorkerLimits

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


# Installs a filter of its own as a container's host does, and becomes the real worker behind it.
_POORER = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("seccomp", {seccomp!r})
seccomp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seccomp)
Check, Rule = seccomp.Check, seccomp.Rule
assert seccomp.load([{rules}])
os.execv(sys.executable, [sys.executable, "-I", "-X", "utf8", {worker!r}, *sys.argv[1:]])
"""
_RULES = {
    "namespaces": "Rule((272, 97))",
    "processes of its own": "Rule((272, 97), (Check(0, 0, mask=0x20000000),))",
    "mounts": "Rule((442, 442))",
    "Landlock": "Rule((444, 444))",
    "seccomp": "Rule((157, 167), (Check(0, 22, is_equal=False),))",
}


def poorer_host(folder: Path, *lacking: str) -> Path:
    """Write a program that starts the worker where the kernel refuses some of what it asks for, as containers do."""
    program = folder / f"without {' and '.join(lacking)}.py"
    rules = ", ".join(_RULES[name] for name in lacking)
    program.write_text(
        _POORER.format(seccomp=str(WORKER.with_name("seccomp.py")), rules=rules, worker=str(WORKER)), encoding="utf-8"
    )
    return program


def supervisor_of(started: RewardWorker) -> psutil.Process:
    """The process that stands between this one and the reward's."""
    assert started._process is not None
    return psutil.Process(started._process._process.pid)


def process_of(started: RewardWorker) -> psutil.Process:
    """The process that the reward runs in, as it is seen from here."""
    (init,) = supervisor_of(started).children()
    return min(init.children(), key=psutil.Process.create_time)


def running(*words: str) -> list[psutil.Process]:
    """Every process whose command line has these words."""
    return [process for process in psutil.process_iter() if set(words) <= set(_argv(process))]


def _argv(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
