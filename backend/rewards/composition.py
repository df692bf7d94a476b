"""Make one reward from ready parts: the sentence that says what it pays, and its Python source."""

import math
import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from backend.errors import SpecError
from backend.rewards.builtin_library import about, library_names, library_source, nearest
from backend.rewards.merging import merged

LARGEST_WEIGHT = 1000
_HINT = f"Give each part once, with a weight between -{LARGEST_WEIGHT} and {LARGEST_WEIGHT} that is not 0"
WIDTH = 112  # characters of a line
_ADVICE = "Composed by the studio from its ready rewards. It stands alone: edit the weights, the limits, all of it."
_REWARD = '''def reward(completions: list[str], **columns: object) -> list[dict[str, float | None] | None]:
    """Pay each completion the weighted sum of its parts, and show the parts beside it."""
    paid = {
CALLS
    }
    return [_entry({name: values[i] for name, values in paid.items()}) for i in range(len(completions))]


def _entry(parts: dict[str, float | None]) -> dict[str, float | None] | None:
    """Sum the parts that apply; without one the whole does not apply."""
    known = {name: value for name, value in parts.items() if value is not None}
    if not known:
        return None
    return {"overall": sum(WEIGHTS[name] * value for name, value in known.items()), **parts}'''


class Part(NamedTuple):
    """One ready reward and how much it counts; below 0 it takes away."""

    name: str
    weight: float


class Term(NamedTuple):
    """One part of the sentence, for pages that say it in their own language by `name`."""

    name: str
    weight: float
    what: str  # "an exact match"
    is_graded: bool  # "up to"


class Payment(NamedTuple):
    """What a composed reward pays, in English and as numbers."""

    text: str
    terms: tuple[Term, ...]  # what gives before what takes away, each in the order asked for
    least: float
    most: float


def payment(parts: Sequence[Part]) -> Payment:
    """Say what the parts pay together. Raises SpecError, as `compose`."""
    refuse_bad(parts)
    ordered = sorted(parts, key=lambda part: part.weight < 0)
    terms = tuple(Term(part.name, part.weight, about(part.name).what, about(part.name).is_graded) for part in ordered)
    least = sum(part.weight for part in parts if part.weight < 0)
    most = sum(part.weight for part in parts if part.weight > 0)
    return Payment(_said(terms, least, most), terms, least, most)


def sentence(parts: Sequence[Part]) -> str:
    """Say in English what the parts pay together. Raises SpecError, as `compose`."""
    return payment(parts).text


def compose(parts: Sequence[Part]) -> str:
    """Write the Python of a reward that pays the parts' weighted sum, and shows each part's own value beside it.

    It stands alone: the parts' functions and constants are in it, renamed where two parts use one name for two things.
    A part that does not apply to a row is absent from its sum; where none applies, neither does the whole.

    Raises:
        SpecError: no part, an unknown one, one twice, a weight of 0 or that is no number; all of it at once.
    """
    refuse_bad(parts)
    whole = merged({part.name: library_source(part.name).text for part in parts}, taken={"WEIGHTS", "_entry"})
    weights = "".join(f'    "{part.name}": {float(part.weight)!r},\n' for part in parts)
    calls = "".join(
        f'        "{name}": {function}(completions=completions, **columns),\n'
        for name, function in whole.entries.items()
    )
    title = f'"""{textwrap.fill(sentence(parts), WIDTH)}\n\n{_ADVICE}\n"""'
    head = "\n\n".join(piece for piece in (title, whole.imports, f"WEIGHTS = {{\n{weights}}}") if piece)
    bodies = [f"{_heading(name)}\n\n{body}" for name, body in whole.bodies.items()]
    blocks = [head, _REWARD.replace("CALLS\n", calls), *bodies, *([whole.shared] if whole.shared else [])]
    return "\n\n\n".join(blocks) + "\n"


def refuse_bad(parts: Sequence[Part]) -> None:
    """Raise SpecError that names everything wrong with the parts."""
    names = [part.name for part in parts]
    problems = [] if parts else ["No part is chosen"]
    problems += [f"No ready reward is called `{name}`" for name in dict.fromkeys(names) if name not in library_names()]
    problems += [f"`{name}` is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    problems += [
        f"`{part.name}` has a weight of `{part.weight:g}`"
        for part in parts
        if not math.isfinite(part.weight) or part.weight == 0 or abs(part.weight) > LARGEST_WEIGHT
    ]
    unknown = [name for name in names if name not in library_names()]
    if problems:
        hint = nearest(unknown[0], library_names()) if unknown else _HINT
        raise SpecError("; ".join(problems), hint=hint)


def _said(terms: Sequence[Term], least: float, most: float) -> str:
    begun = "Pays" if most else "Takes away"
    pieces: list[str] = []
    for term in terms:
        joint = "plus " if term.weight > 0 else "minus " if most else "and "
        amount = f"{'up to ' if term.is_graded else ''}{abs(term.weight):g} for {term.what}"
        pieces.append(joint * bool(pieces) + amount)
    if len(terms) == 1:
        return f"{begun} {pieces[0]}."
    in_all = f"between {least:g} and {most:g}" if least and most else f"at most {most or -least:g}"
    return f"{begun} {', '.join(pieces)}; {in_all} in all."


def _heading(name: str) -> str:
    """What a part pays, as a comment."""
    return textwrap.fill(about(name).text, WIDTH, initial_indent="# ", subsequent_indent="# ")
