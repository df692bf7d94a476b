"""A guard, the change that takes it out, and the test that must then fail.

Guards and tests are named by symbol, so that code may move without a change here. The change is text within the
symbol's own lines. `python -m tests.scripts.kill_guards` carries it out in a copy of the tree.
"""

import ast
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from backend.settings import ROOT

PACKAGES = ("backend", "launcher", "studio")


@dataclass(frozen=True, slots=True)
class Guard:
    """One check that a promise rests on."""

    symbol: str  # `function`, `Class.method` or `CONSTANT`; with `file:` before it where several have that name
    old: str  # stands once within it
    new: str  # in its place: the guard is gone
    killer: str  # name of a test function that fails then; `[id]` behind it where one case is enough

    @property
    def name(self) -> str:
        """What reports call it."""
        old, new = (text.strip().partition("\n")[0] for text in (self.old, self.new))
        return f"{self.symbol}: {old} -> {new}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a symbol stands."""

    path: Path  # below the root of the tree
    first: int  # line, from 1
    last: int


def place_of(symbol: str) -> Place:
    """Find a symbol of the packages. Raises LookupError where none or several have that name."""
    file, _, name = symbol.rpartition(":")
    found = [place for place in _symbols().get(name, ()) if not file or place.path.stem == file]
    if len(found) != 1:
        raise LookupError(f"`{symbol}` stands at {len(found)} places: {[str(each.path) for each in found]}")
    return found[0]


def killer_of(guard: Guard) -> str:
    """The node id of its test. Raises LookupError where none or several have that name."""
    name, bracket, case = guard.killer.partition("[")
    found = _tests().get(name, ())
    if len(found) != 1:
        raise LookupError(f"`{name}` stands at {len(found)} places: {[str(path) for path in found]}")
    return f"{found[0].as_posix()}::{name}{bracket}{case}"


def mutated(guard: Guard, root: Path = ROOT) -> str:
    """The file without the guard. Raises LookupError where its text does not stand once within its symbol."""
    place = place_of(guard.symbol)
    lines = (root / place.path).read_text(encoding="utf-8").splitlines(keepends=True)
    inside = "".join(lines[place.first - 1 : place.last])
    if inside.count(guard.old) != 1:
        raise LookupError(f"`{guard.old}` stands {inside.count(guard.old)} times within `{guard.symbol}`")
    changed = inside.replace(guard.old, guard.new)
    text = "".join([*lines[: place.first - 1], changed, *lines[place.last :]])
    compile(text, place.path, "exec")
    return text


def digest(guard: Guard) -> str:
    """What its death was seen with: the guard, its file and its test's file."""
    files = (ROOT / place_of(guard.symbol).path, ROOT / killer_of(guard).partition("::")[0])
    parts = [repr(guard).encode(), *(path.read_bytes() for path in files)]
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


@cache
def _symbols() -> dict[str, list[Place]]:
    found: dict[str, list[Place]] = {}
    for path in (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))):
        for name, node in _named(ast.parse(path.read_text(encoding="utf-8")), ""):
            assert node.end_lineno is not None
            first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
            found.setdefault(name, []).append(Place(path.relative_to(ROOT), first, node.end_lineno))
    return found


def _named(node: ast.AST, above: str) -> Iterator[tuple[str, ast.stmt]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield f"{above}{child.name}", child
            yield from _named(child, f"{above}{child.name}.")
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            named = [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            yield from ((f"{above}{name}", child) for name in named)


@cache
def _tests() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                found.setdefault(node.name, []).append(path.relative_to(ROOT))
    return found
