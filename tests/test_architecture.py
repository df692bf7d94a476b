"""The drawing of the project, checked: how long a file and a function may be, and what no file may do."""

import ast
from pathlib import Path

import pytest

from backend.settings import ROOT

MODULES = sorted(path for package in ("studio", "launcher", "backend") for path in (ROOT / package).rglob("*.py"))


def test_there_is_something_to_check():
    assert len(MODULES) > 60


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_short(path: Path):
    text = path.read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert len(text.splitlines()) <= 400
    assert [node.name for node in functions if (node.end_lineno or 0) - node.lineno > 50] == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_p1_no_file_uses_a_shell_a_pickle_or_remote_code(path: Path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword):
            assert not (node.arg in ("shell", "trust_remote_code") and getattr(node.value, "value", None) is True)
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
            assert not names & {"pickle", "dill", "cloudpickle"}


def test_u8_no_file_lets_pillow_choose_a_decoder():
    calls = [
        (path.name, {word.arg for word in node.keywords})
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open"
    ]
    assert len(calls) >= 5
    assert [name for name, words in calls if "formats" not in words] == []


def test_environment_variables_are_read_in_one_file():
    readers = {str(path.relative_to(ROOT)) for path in MODULES if "os.environ" in path.read_text(encoding="utf-8")}
    assert readers <= {
        "backend/settings.py",
        "backend/programs/training/distributed.py",
        "studio/cli/doctor.py",
        "studio/web/server.py",
    }


def test_catalogued_knobs_of_recipes_are_read():
    from backend.recipes.library import load_recipe, recipe_names

    names = recipe_names()
    assert len(names) >= 7
    assert all(load_recipe(name).spec.recipe == name for name in names)


VAGUE = {"said", "asked", "told", "held", "wish", "wishes", "room", "tally", "paid", "walls", "drawn"}


def _classes(tree: ast.AST) -> list[str]:
    return [node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]


def _identifiers(tree: ast.AST) -> set[str]:
    """Names that the code binds or reads, without attributes and fields, which may be on disk."""
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    fields = {line.target for node in classes for line in node.body if isinstance(line, ast.AnnAssign)}
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in fields}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    return names | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_no_two_classes_have_one_name():
    names = [name for path in MODULES for name in _classes(ast.parse(path.read_text(encoding="utf-8")))]
    assert len(names) > 250
    assert {name for name in names if names.count(name) > 1} == set()


def test_variables_and_functions_are_named_for_what_they_hold():
    vague = {
        (str(path.relative_to(ROOT)), name)
        for path in MODULES
        for name in _identifiers(ast.parse(path.read_text(encoding="utf-8")))
        if VAGUE & set(name.lower().split("_"))
    }
    assert vague == set()
