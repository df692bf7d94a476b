"""Quick tests first: then those that load the model, then those that drive a browser.

Two workers share them out in that order, those that need the same slow thing together. A test marked `alone` measures
time: none of the other worker's tests runs beside it, at the price of that worker's waiting.

A test whose name begins with the id of a property carries it as a marker too: `pytest -m "U1 or P4"`. A run of the
whole suite fails where a property of `tests/properties.py` was shown by no test that passed.
"""

import fcntl
import os
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TextIO

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.probes import has, summary
from tests.properties import PROPERTIES, shown_by
from tests.warm.starting import WarmServer, warm_up, without_warmth

# Two busy programs with two threads each on two cores wait for one another at every parallel loop.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TOGETHER = (  # the longest first, so that no worker is left alone with it at the end
    "tests/studio/",
    "tests/rewards/test_worker.py",
    "tests/launcher/test_chat.py",
    "tests/training/",
    "tests/road/test_command_line.py",
    "tests/road/test_rewards.py",
    "tests/road/test_wrong_doors.py",
    "tests/browser/test_journey.py",
    "tests/browser/test_train_and_runs.py",
    "tests/browser/test_rewards_page.py",
    "tests/browser/test_evaluate_page.py",
    "tests/browser/test_grpo_pages.py",
    "tests/browser/test_look.py",
    "tests/browser/test_data.py",
    "tests/browser/test_playground.py",
)
GATE, FLOOR = Path(__file__), Path(__file__).with_name("serving.py")  # files that are there, only to be locked
HELD = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Shown(config))
        config.add_cleanup(WarmServer().end)
    for name, text in PROPERTIES.items():
        config.addinivalue_line("markers", f"{name}: {text}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for name in shown_by(item.name):
            item.add_marker(name)
    _sort(items)
    if any(item.get_closest_marker("torch") or item.get_closest_marker("browser") for item in items):
        warm_up()


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("needs"):
        lacking = [probe for probe in mark.args if not has(probe)]
        if lacking:
            pytest.skip(f"this machine grants no {', no '.join(lacking)}")


class Shown:
    """Counts, where all reports meet, which properties a passed test has shown."""

    def __init__(self, config: pytest.Config) -> None:
        self.config, self.shown = config, set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.shown |= set(shown_by(report.nodeid.split("::")[-1]))

    def missing(self) -> list[str]:
        is_whole = self.config.args_source is pytest.Config.ArgsSource.TESTPATHS
        is_narrowed = (
            self.config.option.keyword or self.config.option.markexpr != "not long" or self.config.option.collectonly
        )
        return [name for name in PROPERTIES if name not in self.shown] if is_whole and not is_narrowed else []

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.OK and self.missing():
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.write_line(f"{summary()}; {len(self.shown)} of {len(PROPERTIES)} properties shown")
        if self.missing():
            terminalreporter.section("properties that no passed test has shown")
            terminalreporter.write_line(", ".join(self.missing()))


def _sort(items: list[pytest.Item]) -> None:
    def cost(item: pytest.Item) -> int:
        return 2 if item.get_closest_marker("browser") else 1 if item.get_closest_marker("torch") else 0

    places = (*TOGETHER, None)
    items.sort(key=lambda item: (cost(item), places.index(together(item.nodeid))))


def together(nodeid: str) -> str | None:
    """The place of tests that share what is slow to make, so that one worker makes it once for all of them."""
    return next((place for place in TOGETHER if nodeid.startswith(place)), None)


class InOrder(LoadScopeScheduling):
    """One test after the other to whoever is free; those that belong together to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InOrder:
    """Instead of xdist's `loadgroup`, whose groups pytest 9.2 does not see."""
    return InOrder(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the floor around the whole of a test, with others or alone; its time-out begins after the wait."""
    with FLOOR.open() as floor:
        item.stash[HELD] = floor
        take(floor, alone=item.get_closest_marker("alone") is not None)
        try:
            return (yield)
        finally:
            fcntl.flock(floor, fcntl.LOCK_UN)  # by name: a child that was forked meanwhile may hold a copy


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that the test starts import everything themselves, as a person's do."""
    without_warmth(monkeypatch)


@pytest.fixture
def take_the_floor(request: pytest.FixtureRequest) -> Callable[[], None]:
    """For a test of speed that may find out late that it must be alone, and mostly does not."""

    def taken() -> None:
        fcntl.flock(request.node.stash[HELD], fcntl.LOCK_UN)  # whoever waits for it at the gate goes first
        take(request.node.stash[HELD], alone=True)

    return taken


def take(floor: TextIO, *, alone: bool) -> None:
    """Wait at the gate, so that who wants the floor alone is not overtaken for ever."""
    with GATE.open() as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(floor, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
