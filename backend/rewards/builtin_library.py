"""The rewards that ship: one Python file each, in `backend/rewards/builtin/`, read as text and never imported."""

import ast
import difflib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from backend.errors import NotFoundError
from backend.rewards.contract import RewardSource

FOLDER = Path(__file__).parent / "builtin"
_PAYS = re.compile(r"Pays (?P<graded>up to )?1 for (?P<what>.+?)(?:: .+)?\.")


class BuiltinSummary(NamedTuple):
    """What a built-in reward says of itself; in English, a page translates by the name."""

    name: str
    text: str  # one sentence: what it pays
    what: str  # what it pays for, as a sentence may go on with it: "an exact match"
    is_graded: bool  # pays anything from 0 to 1, rather than 0 or 1


def builtin_names() -> list[str]:
    """The built-in rewards, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@cache
def builtin_source(name: str) -> RewardSource:
    """Read one.

    Raises:
        NotFoundError: no built-in reward has that name; the hint names the nearest.
    """
    if name not in builtin_names():
        raise NotFoundError(f"No ready reward is called `{name}`", hint=nearest_hint(name, builtin_names()))
    return RewardSource(name, (FOLDER / f"{name}.py").read_text(encoding="utf-8"), "library")


@cache
def builtin_summary(name: str) -> BuiltinSummary:
    """What a built-in reward pays for. Raises NotFoundError."""
    docstring = ast.get_docstring(ast.parse(builtin_source(name).text)) or ""
    first = docstring.partition("\n")[0]
    match = _PAYS.fullmatch(first)
    if match is None:
        raise ValueError(f"the first line of {name}.py is not `Pays 1 for THIS: more.`")
    return BuiltinSummary(name, first, match["what"], bool(match["graded"]))


def nearest_hint(name: str, names: list[str]) -> str:
    """The hint for a name that there is not: the one that was meant, or all there are."""
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.4)
    return f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(names)}"
