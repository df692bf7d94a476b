"""The list of guards is sound: each stands where it says, each test is there, none is named twice."""

import pytest

from tests.guards.guard import Guard, killer_of, mutated
from tests.guards.guards import GUARDS


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_a_guard_stands_where_it_says_and_so_does_its_test(guard: Guard):
    assert mutated(guard)
    assert killer_of(guard).endswith(guard.killer)


def test_no_guard_is_named_twice():
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)
