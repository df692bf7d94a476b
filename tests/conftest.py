"""Quick tests first: then those that load the model, then those that drive a browser.

Two workers share them out in that order, those that need the same slow thing together.

A test whose name begins with the id of a property carries it as a marker too: `pytest -m "U1 or P4"`. A run of the
whole suite fails where a property of `tests/properties.py` was shown by no test that passed.
"""

import os
import sys

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.probes import has, summary
from tests.properties import PROPERTIES, shown_by
from tests.warm.starting import WarmServer, warm_up

# What a test starts finds the code compiled, as a person's second start does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Two busy programs with two threads each on two cores wait for one another at every parallel loop.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TOGETHER = (  # the longest first, so that no worker is left alone with it at the end
    "tests/studio/",
    "tests/rewards/test_worker.py",
    "tests/launcher/test_chat.py",
    "tests/programs/training/",
    "tests/road/test_command_line.py",
    "tests/road/test_rewards.py",
    "tests/road/test_wrong_doors.py",
    "tests/browser/test_train_and_runs.py",
    "tests/browser/test_playground.py",
    "tests/browser/test_journey.py",
    "tests/browser/test_data.py",
    "tests/browser/test_rewards_page.py",
    "tests/browser/test_look.py",
    "tests/browser/test_grpo_pages.py",
    "tests/browser/test_evaluate_page.py",
)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(ShownProperties(config))
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


class ShownProperties:
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
