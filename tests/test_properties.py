"""The promises of `tests/properties.py` and the tests that show them, held against each other."""

import ast
import os
from functools import cache
from pathlib import Path

from backend.settings import ROOT
from tests.probes import PROBES, has
from tests.properties import PROPERTIES, shown_by

TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
CHECKS = ("assert", "raises", "expect")  # an assertion, pytest's or Playwright's; also in a helper's name


@cache
def functions_of(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


SHOWING = [(path, node) for path in TESTS for node in functions_of(path) if shown_by(node.name)]


def test_every_property_has_a_test_and_every_id_is_a_property():
    shown = {name for _, node in SHOWING for name in shown_by(node.name)}

    assert sorted(PROPERTIES.keys() - shown) == []
    assert sorted(shown - PROPERTIES.keys()) == []


def test_the_groups_are_numbered_without_a_gap():
    groups = {"U": 20, "R": 22, "P": 19, "S": 13, "W": 20, "C": 10, "D": 8, "M": 6}
    assert set(PROPERTIES) == {f"{group}{number}" for group, count in groups.items() for number in range(1, count + 1)}


def test_no_test_of_a_property_is_vacuous():
    """Each checks something itself or by a helper of its own file, and none is skipped but for want of a probe."""
    idle, skipped = [], []
    for path, node in SHOWING:
        helpers = {each.name: each for each in functions_of(path)}
        called = {part.func.id for part in ast.walk(node) if isinstance(part, ast.Call) and hasattr(part.func, "id")}
        if not any(_checks(each) for each in [node, *(helpers[name] for name in called if name in helpers)]):
            idle.append(node.name)
        skipped += [node.name for mark in node.decorator_list if {"skip", "xfail"} & set(ast.unparse(mark).split("."))]
    assert idle == []
    assert skipped == []


def test_this_machine_grants_what_the_suite_needs_or_is_no_ci():
    lacking = [probe for probe in PROBES if not has(probe)]
    assert lacking == [] or "CI" not in os.environ


def _checks(node: ast.AST) -> bool:
    return any(
        isinstance(part, ast.Assert)
        or (isinstance(part, ast.Call) and any(check in ast.unparse(part.func) for check in CHECKS))
        for part in ast.walk(node)
    )
