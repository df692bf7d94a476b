import ast

import pytest

from backend.settings import ROOT

MODULES = sorted(path for package in ("studio", "launcher", "backend") for path in (ROOT / package).rglob("*.py"))
WORKER = ROOT / "backend" / "rewards" / "sandbox" / "worker.py"
IN_THE_CHILD = ("worker", "return_values", "rlimits", "namespaces", "supervisor", "landlock", "seccomp")
RUNS_TEXT = {"exec", "eval", "compile", "__import__"}
LOADS_FILES = {
    "spec_from_file_location",
    "module_from_spec",
    "SourceFileLoader",
    "run_path",
    "run_module",
    "load_source",
}


def runs_text(tree: ast.AST) -> set[str]:
    """Names of what a module calls that turns text or an arbitrary file into running code."""
    called = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
    plain = {function.id for function in called if isinstance(function, ast.Name)}
    attributes = {function.attr for function in called if isinstance(function, ast.Attribute)}
    return plain & (RUNS_TEXT | LOADS_FILES) | attributes & LOADS_FILES


def test_r2_only_the_worker_turns_text_into_code():
    assert len(MODULES) > 60

    found = {path for path in MODULES if runs_text(ast.parse(path.read_text(encoding="utf-8")))}

    assert found == {WORKER}


def test_r2_nobody_imports_the_worker():
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
                assert not names & {f"backend.rewards.sandbox.{name}" for name in IN_THE_CHILD}


@pytest.mark.parametrize("name", IN_THE_CHILD)
def test_r2_what_runs_in_the_child_imports_nothing_of_the_project(name):
    tree = ast.parse(WORKER.with_name(f"{name}.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert len(imported) >= 3
    assert not {module for module in imported if module.split(".")[0] in ("backend", "launcher", "studio", "pydantic")}


def test_r9_answers_are_json_and_no_pickle_is_near():
    files = sorted((ROOT / "backend" / "rewards").glob("*.py"))
    assert len(files) >= 8

    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not names & {"pickle", "dill", "cloudpickle", "marshal", "shelve", "multiprocessing", "joblib"}
