"""The composer: which ready rewards count how much, and the sentence that says what that pays."""

import math
from collections.abc import Sequence
from typing import Any

from backend.errors import SpecError
from backend.rewards.composer import LARGEST_WEIGHT, Part, Payment, Term, payment
from backend.rewards.library import library_names
from studio.i18n import Translate

FIRST_PARTS = (Part("exact_match", 1.0),)
View = dict[str, Any]


def composer_view(parts: Sequence[Part], t: Translate) -> View:
    """Every ready reward with a box and a weight."""
    weights = {part.name: part.weight for part in parts}
    return {"parts": [_part_view(name, weights.get(name), t) for name in library_names()]}


def parts_of(view: object, t: Translate) -> list[Part]:
    """Read what was chosen in a browser. Raises SpecError for what is no weight."""
    rows = view.get("parts") if isinstance(view, dict) else None
    chosen = [row for row in rows if isinstance(row, dict) and row.get("chosen")] if isinstance(rows, list) else []
    return [Part(str(row.get("name")), _weight(row, t)) for row in chosen]


def sentence(parts: Sequence[Part], t: Translate) -> str:
    """Say in the page's language what the parts pay together. Raises SpecError where they pay nothing sensible."""
    said = payment(parts)
    joined = t("pay.joint").join(_piece(term, place, said, t) for place, term in enumerate(said.terms))
    begun = t("pay.pays" if said.most else "pay.takes")
    if len(said.terms) == 1:
        return t("pay.one", begun=begun, terms=joined)
    least, most = f"{said.least:g}", f"{said.most:g}"
    in_all = (
        t("pay.between", least=least, most=most) if said.least and said.most
        else t("pay.most", most=f"{said.most or -said.least:g}")
    )  # fmt: skip
    return t("pay.many", begun=begun, terms=joined, in_all=in_all)


def _part_view(name: str, weight: float | None, t: Translate) -> View:
    said = t(f"reward.{name}.about")
    return {"name": name, "said": said, "weight": 1.0 if weight is None else weight, "chosen": weight is not None}


def _piece(term: Term, place: int, said: Payment, t: Translate) -> str:
    key = "pay.graded" if term.is_graded else "pay.amount"
    amount = t(key, weight=f"{abs(term.weight):g}", what=t(f"reward.{term.name}.what"))
    if not place:
        return amount
    joint = "pay.plus" if term.weight > 0 else "pay.minus" if said.most else "pay.and"
    return t(joint, amount=amount)


def _weight(row: View, t: Translate) -> float:
    weight = row.get("weight")
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
    if not is_number or not weight or abs(weight) > LARGEST_WEIGHT:
        said = t("compose.no_weight", name=str(row.get("name")))
        raise SpecError(said, hint=t("compose.no_weight.hint", most=LARGEST_WEIGHT))
    return float(weight)
