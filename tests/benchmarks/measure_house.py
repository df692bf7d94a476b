"""How large the code's parts are, beside an earlier commit and two libraries that engineers hold up as models.

`python -m tests.benchmarks.measure_house [--before COMMIT] [--write]`. Nothing measured is imported or run.
"""

import argparse
import ast
import io
import statistics
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from backend.settings import ROOT
from tests.scripts.readme import write_section

PACKAGES = ("studio", "launcher", "backend")
MODELS = ("starlette", "httpx")


class Size(NamedTuple):
    """One code base in numbers. Lines count comments and blank lines."""

    files: int  # without empty `__init__.py` and those that hold a docstring alone
    median: int  # lines of a file
    longest: int
    functions: tuple[int, int, int]  # lines of a function: median, 95th of 100, longest
    one_importer: int  # modules that exactly one other module imports
    lines: int
    test_lines: int | None


def measure(root: Path, packages: Iterable[str], tests: Path | None = None) -> Size:
    """Read the Python files of `packages` below `root`."""
    paths = [path for package in packages for path in sorted((root / package).rglob("*.py"))]
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    files = [lines[path] for path in paths if path.name != "__init__.py" or len(trees[path].body) > 1]
    functions = sorted(
        (node.end_lineno or 0) - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    importers = Counter(_imports(root, trees).values())
    return Size(
        files=len(files),
        median=round(statistics.median(files)),
        longest=max(files),
        functions=(round(statistics.median(functions)), functions[len(functions) * 95 // 100], functions[-1]),
        one_importer=importers[1],
        lines=sum(lines.values()),
        test_lines=sum(len(path.read_text("utf-8").splitlines()) for path in tests.rglob("*.py")) if tests else None,
    )


def _imports(root: Path, trees: dict[Path, ast.Module]) -> dict[str, int]:
    """By how many of the modules each module is imported; absolute and relative imports alike."""
    names = {path: _dotted(root, path) for path in trees}
    importers: dict[str, set[str]] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            for name in _imported(node, names[path], is_package=path.name == "__init__.py"):
                if name in names.values() and name != names[path]:
                    importers.setdefault(name, set()).add(names[path])
    return {name: len(found) for name, found in importers.items()}


def _imported(node: ast.AST, importer: str, *, is_package: bool) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    start = (
        importer.split(".")[: len(importer.split(".")) - node.level + (1 if is_package else 0)] if node.level else []
    )
    module = ".".join([*start, *(node.module or "").split(".")]).strip(".")
    return [module, *(f"{module}.{alias.name}" for alias in node.names)]


def _dotted(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def at_commit(commit: str, into: Path) -> Path:
    """Lay the tree of a commit out in `into`."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(into, filter="data")
    return into


def table(sizes: dict[str, Size]) -> str:
    """A Markdown table, a code base a column."""
    rows: dict[str, list[str]] = {
        "files": [f"{size.files}" for size in sizes.values()],
        "lines of a file, median / longest": [f"{size.median} / {size.longest}" for size in sizes.values()],
        "lines of a function, median / p95 / longest": [
            " / ".join(map(str, size.functions)) for size in sizes.values()
        ],
        "modules with one importer": [f"{size.one_importer}" for size in sizes.values()],
        "lines of source": [f"{size.lines:,}" for size in sizes.values()],
        "lines of tests": [f"{size.test_lines:,}" if size.test_lines else "" for size in sizes.values()],
    }
    head = f"| | {' | '.join(sizes)} |\n|---|{'---|' * len(sizes)}\n"
    return head + "\n".join(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())


def main() -> None:
    """Measure, print, and with `--write` put the table into the docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", default="", help="a commit to compare with")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    sizes: dict[str, Size] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.before:
            earlier = at_commit(options.before, Path(folder))
            sizes[options.before] = measure(earlier, PACKAGES, earlier / "tests")
        sizes["now"] = measure(ROOT, PACKAGES, ROOT / "tests")
        for name in MODELS:
            spec = find_spec(name)
            assert spec
            assert spec.origin
            sizes[name] = measure(Path(spec.origin).parents[1], (name,))
    print(table(sizes))
    if options.write:
        write_section(
            "measured:house", f"{table(sizes)}\n\n`python -m tests.benchmarks.measure_house --before 3bcec7f --write`."
        )


if __name__ == "__main__":
    main()
