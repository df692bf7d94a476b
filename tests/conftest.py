"""Quick tests first: then those that load the model, then those that drive a browser.

Two workers share them out in that order, those that need the same slow thing together. A test marked `alone` measures
time: none of the other worker's tests runs beside it, at the price of that worker's waiting.
"""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# Two busy programs with two threads each on two cores wait for one another at every parallel loop.
os.environ.setdefault("OMP_NUM_THREADS", "1")

GATE, FLOOR = Path(__file__), Path(__file__).with_name("serving.py")  # files that are there, only to be locked


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        group = shared_by(item)
        if group and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: (cost(item), shared_by(item) is None))


def cost(item: pytest.Item) -> int:
    return 2 if item.get_closest_marker("browser") else 1 if item.get_closest_marker("torch") else 0


def shared_by(item: pytest.Item) -> str | None:
    """What is slow to make, and therefore made once: by one worker for all tests of its name."""
    if cost(item):
        return item.path.stem
    return next((name for name in ("studio", "assembled") if name in getattr(item, "fixturenames", ())), None)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the floor around the whole of a test, with others or alone; its time-out begins after the wait."""
    with holding_the_floor(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def holding_the_floor(*, alone: bool) -> Iterator[None]:
    """Wait at the gate, so that who wants the floor alone is not overtaken for ever."""
    with GATE.open() as gate, FLOOR.open() as floor:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(floor, fcntl.LOCK_UN)  # by name: a child that was forked meanwhile may hold a copy
