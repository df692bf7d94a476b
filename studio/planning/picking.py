"""What the pickers of datasets and rewards list: all there is now, with the choices and weights that were made."""

from collections.abc import Sequence
from typing import Any

from backend.rewards.library import library_names
from backend.rewards.store import RewardStore
from backend.spec.run import RunSpec
from studio.i18n import Translate
from studio.services import Services

Shares = list[dict[str, Any]]  # rows of a picker: {name, weight, chosen, ...}
_FRESH = {"weight": 1, "chosen": False}


def listed_datasets(services: Services, made: object) -> Shares:
    """All datasets, newest first."""
    there = [{"name": each.name, "rows": each.statistics.train_rows} for each in services.datasets.manifests()]
    return _with_choices(there, made)


def listed_rewards(services: Services, made: object, t: Translate) -> Shares:
    """The person's own rewards, then the ready ones; each says what it pays, or whether a dry run vouches for it."""
    store = RewardStore(services.workspace)
    own = [
        {"name": name, "said": t("train.reward.own"), "is_own": True, "is_checked": store.is_checked(store.get(name))}
        for name in store.names()
    ]
    ready = [
        {"name": name, "said": t(f"reward.{name}.about"), "is_own": False, "is_checked": True}
        for name in library_names()
    ]
    return _with_choices([*own, *ready], made)


def shares_of(spec: RunSpec, knob: str) -> Shares:
    """The choices that a spec made, as a picker holds them."""
    shares = spec.data.datasets if knob == "data.datasets" else spec.grpo.rewards
    return [{"name": share.name, "weight": share.weight, "chosen": True} for share in shares]


def choose(shares: Shares, names: Sequence[str]) -> Shares:
    """Choose exactly these, where one of them is there; else leave the choice as it was."""
    if not any(share["name"] in names for share in shares):
        return shares
    return [share | {"chosen": share["name"] in names} for share in shares]


def chosen_names(shares: Shares) -> set[str]:
    """The names that are chosen."""
    return {share["name"] for share in shares if share["chosen"]}


def _with_choices(there: Shares, made: object) -> Shares:
    """What a browser sends may be anything: only what is there is listed, and only choices and weights are taken."""
    rows = [each for each in made if isinstance(each, dict)] if isinstance(made, list) else []
    known = {str(each.get("name")): each for each in rows}
    return [
        _FRESH | {key: known.get(each["name"], _FRESH).get(key, _FRESH[key]) for key in _FRESH} | each for each in there
    ]
