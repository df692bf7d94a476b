"""The studio under attack, as a child process: the short form of `python -m tests.benchmarks.measure_attack`."""

from typing import Any

import pytest

from tests.studio.attack.attacks import attack
from tests.studio.attack.target import MOST_GROWTH, Target

pytestmark = pytest.mark.attack
EVERY = 131  # one in so many of what is possible


@pytest.fixture(scope="module", params=[pytest.param(False, marks=pytest.mark.long), True], ids=["open", "accounts"])
def attacked(request: Any, tmp_path_factory: pytest.TempPathFactory, assembled: dict[str, list[str]]) -> Target:
    """What was counted of one that has been attacked."""
    return attack(
        tmp_path_factory.mktemp("attacked"), assembled["paths"], has_accounts=request.param, every=EVERY, at_once=8
    )


def test_w7_what_was_tried_was_much(attacked: Target):
    assert attacked.requests > 600
    assert attacked.statuses[400] > 120
    assert attacked.statuses[404] > 10


def test_w16_no_event_takes_a_file_that_its_visitor_did_not_send(attacked: Target):
    assert attacked.taken == []
    assert attacked.new_files == []
    assert attacked.fetched == []


def test_w17_nobody_waits_for_what_an_attack_makes_the_server_do(attacked: Target):
    # without a bound it is many seconds; how little it is on a quiet machine, `measure_attack` states
    assert attacked.longest_s < 2.0 + 5 * attacked.control_s
    assert attacked.grown < MOST_GROWTH


def test_w19_no_answer_shows_a_path_a_secret_or_a_fault_of_the_servers(attacked: Target):
    assert attacked.leaks == []
    assert attacked.odd == []
    assert attacked.faults == []
    assert attacked.errors == 0
