"""A composed reward: a list of built-in rewards with weights, and the Python that a template makes of it."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from backend.errors import SpecError
from backend.rewards.builtin_library import builtin_names, builtin_source, nearest_hint

MAX_WEIGHT = 1000
_HINT = f"Give each part once, with a weight between -{MAX_WEIGHT} and {MAX_WEIGHT} that is not 0"
_INDENT = " " * 4
# Each built-in reward is the body of a function, so that names which two of them use stay apart.
_TEMPLATE = '''"""Pays the weighted sum of {names}.

Composed by the studio from its built-in rewards. It stands alone: edit the weights, the limits, all of it.
"""

WEIGHTS = {{
{weights}}}


def reward(completions: list[str], **columns: object) -> list[dict[str, float | None] | None]:
    """Score each completion by the weighted sum of its parts, with each part's own value beside it."""
    values = {{name: part(completions=completions, **columns) for name, part in PARTS.items()}}
    return [_weighted_sum({{name: values[name][i] for name in PARTS}}) for i in range(len(completions))]


def _weighted_sum(parts: dict[str, float | None]) -> dict[str, float | None] | None:
    """Sum the parts that apply; without one the whole does not apply."""
    applied = {{name: value for name, value in parts.items() if value is not None}}
    if not applied:
        return None
    return {{"overall": sum(WEIGHTS[name] * value for name, value in applied.items()), **parts}}


{functions}


PARTS = {{
{parts}}}
'''


class RewardPart(NamedTuple):
    """One built-in reward and its weight in the sum; below 0 it takes away."""

    name: str
    weight: float


def compose(parts: Sequence[RewardPart]) -> str:
    """Write the Python of a reward that pays the parts' weighted sum, and shows each part's own value beside it.

    It stands alone: the text of each built-in reward is in it. A part that does not apply to a row is absent from its
    sum; where none applies, neither does the whole.

    Raises:
        SpecError: no part, an unknown one, one twice, a weight of 0 or that is no number; all of it at once.
    """
    refuse_bad_parts(parts)
    return _TEMPLATE.format(
        names=", ".join(part.name for part in parts),
        weights="".join(f'{_INDENT}"{part.name}": {float(part.weight)!r},\n' for part in parts),
        functions="\n\n\n".join(_as_function(part.name) for part in parts),
        parts="".join(f'{_INDENT}"{part.name}": {part.name}(),\n' for part in parts),
    )


def refuse_bad_parts(parts: Sequence[RewardPart]) -> None:
    """Raise SpecError that names everything wrong with the parts."""
    names = [part.name for part in parts]
    unknown = [name for name in dict.fromkeys(names) if name not in builtin_names()]
    problems = [] if parts else ["No part is chosen"]
    problems += [f"No ready reward is called `{name}`" for name in unknown]
    problems += [f"`{name}` is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [
        f"`{part.name}` has a weight of `{part.weight:g}`"
        for part in parts
        if not math.isfinite(part.weight) or part.weight == 0 or abs(part.weight) > MAX_WEIGHT
    ]
    if problems:
        raise SpecError("; ".join(problems), hint=nearest_hint(unknown[0], builtin_names()) if unknown else _HINT)


def _as_function(name: str) -> str:
    """Wrap a built-in reward's whole module in a function that returns its `reward`."""
    return f"def {name}():\n{textwrap.indent(builtin_source(name).text, _INDENT)}\n{_INDENT}return reward"
