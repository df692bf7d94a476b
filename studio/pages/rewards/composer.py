"""Composing a reward: boxes with weights, what was chosen there, and the sentence that says what the parts pay."""

import math
from collections.abc import Sequence
from typing import Any

from backend.errors import SpecError
from backend.rewards.builtin_library import builtin_names, builtin_summary
from backend.rewards.composition import MAX_WEIGHT, RewardPart, refuse_bad_parts
from studio.ui.i18n import Translate

FIRST_PARTS = (RewardPart("exact_match", 1.0),)  # what the composer begins with
View = dict[str, Any]


def composer_view(parts: Sequence[RewardPart], t: Translate) -> View:
    """Every built-in reward with a box and a weight."""
    weights = {part.name: part.weight for part in parts}
    return {
        "parts": [
            {
                "name": name,
                "about": t(f"reward.{name}.about"),
                "weight": weights.get(name, 1.0),
                "chosen": name in weights,
            }
            for name in builtin_names()
        ]
    }


def parts_of(view: object, t: Translate) -> list[RewardPart]:
    """Read what was chosen in a browser. Raises SpecError for what is no weight."""
    rows = view.get("parts") if isinstance(view, dict) else None
    chosen = [row for row in rows if isinstance(row, dict) and row.get("chosen")] if isinstance(rows, list) else []
    return [RewardPart(str(row.get("name")), _weight(row, t)) for row in chosen]


def sentence(parts: Sequence[RewardPart], t: Translate) -> str:
    """Say what the parts pay together, what gives before what takes away. Raises SpecError, as `compose`."""
    refuse_bad_parts(parts)
    most = sum(part.weight for part in parts if part.weight > 0)
    least = sum(part.weight for part in parts if part.weight < 0)
    ordered = sorted(parts, key=lambda part: part.weight < 0)
    amounts = [_amount(part, t) for part in ordered]
    for i, part in enumerate(ordered[1:], start=1):
        joint = "pay.plus" if part.weight > 0 else "pay.minus" if most else "pay.and"
        amounts[i] = t(joint, amount=amounts[i])
    begun, terms = t("pay.pays" if most else "pay.takes"), t("pay.joint").join(amounts)
    if len(parts) == 1:
        return t("pay.one", begun=begun, terms=terms)
    if least and most:
        in_all = t("pay.between", least=f"{least:g}", most=f"{most:g}")
    else:
        in_all = t("pay.most", most=f"{most or -least:g}")
    return t("pay.many", begun=begun, terms=terms, in_all=in_all)


def _amount(part: RewardPart, t: Translate) -> str:
    key = "pay.graded" if builtin_summary(part.name).is_graded else "pay.amount"
    return t(key, weight=f"{abs(part.weight):g}", what=t(f"reward.{part.name}.what"))


def _weight(row: View, t: Translate) -> float:
    weight = row.get("weight")
    is_number = isinstance(weight, int | float) and not isinstance(weight, bool) and math.isfinite(weight)
    if not is_number or not weight or abs(weight) > MAX_WEIGHT:
        message = t("compose.no_weight", name=str(row.get("name")))
        raise SpecError(message, hint=t("compose.no_weight.hint", most=MAX_WEIGHT))
    return float(weight)
