"""The rewards there are, one of them in words, what its lint found, and the text a new one begins with."""

import time
from functools import cache
from typing import Any

from backend.errors import NotFoundError, StudioError
from backend.rewards.client import RewardWorker
from backend.rewards.contract import Isolation, RewardSource
from backend.rewards.library import library_names
from backend.rewards.lint import lint
from backend.rewards.store import RewardStore
from studio.i18n import Translate

NEW, COMPOSE = "new", "compose"  # keys of what is not saved yet; a reward's key is `of:<name>`
FIRST = "of:exact_match"  # what the page opens with
MOST_FINDINGS = 50
View = dict[str, Any]
_TEMPLATE = """# {what}
# {gets}
# {gives}


def reward(completions: list[str], answer: list[str], **columns) -> list[float | None]:
    paid = []
    for given, gold in zip(completions, answer, strict=True):
        # {here}
        paid.append(1.0 if given.strip().lower() == gold.strip().lower() else 0.0)
    return paid
"""


def key_of(name: str) -> str:
    """The key of a saved reward."""
    return f"of:{name}"


def name_of(key: str) -> str:
    """The name of a saved reward; empty for what is not saved yet."""
    return key.removeprefix("of:") if key.startswith("of:") else ""


def template(t: Translate) -> str:
    """What a new reward begins with: it works, and says in comments what to change."""
    return _TEMPLATE.format(**{part: t(f"rewards.template.{part}") for part in ("what", "gets", "gives", "here")})


def list_view(store: RewardStore, chosen: str, t: Translate) -> View:
    """Everything to choose from. A key that names nothing any more gives way to the first; no key leaves it open."""
    own = store.names()
    known = [NEW, COMPOSE, *map(key_of, (*library_names(), *own))]
    return {
        "chosen": chosen if chosen in known or not chosen else FIRST,
        "first": FIRST,
        "own": [_own_card(store, name, t) for name in own],
        "ready": [
            {"key": key_of(name), "name": name, "said": t(f"reward.{name}.about"), "badge": "", "tone": ""}
            for name in library_names()
        ],
    }


def head_view(store: RewardStore, key: str, t: Translate) -> View:
    """The chosen reward in words: its name, what a dry run says of it, where it comes from."""
    name = name_of(key)
    if not name:
        return {"title": t(f"rewards.{key}"), "said": t(f"rewards.{key}.help"), "badge": "", "tone": ""}
    source = store.get(name)
    if source.origin == "library":
        return {"title": name, "said": t(f"reward.{name}.about"), "badge": t("rewards.ready"), "tone": "good"}
    badge, tone = _vouched(store, source, t)
    return {"title": name, "said": t("rewards.version", version=source.sha256[:8]), "badge": badge, "tone": tone}


def version_choices(store: RewardStore, name: str, t: Translate) -> list[tuple[str, str]]:
    """Every version of an own reward to go back to, newest first: when, its hash, what is known of it."""
    choices = []
    for version in store.versions(name):
        checked = store.check_of(version.sha256)
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.saved_at))
        said = [moment, version.sha256[:8]]
        said += [t("rewards.passed")] if checked and checked.passed else []
        said += [t("rewards.current")] if version.is_current else []
        choices.append((" · ".join(said), version.sha256))
    return choices


def findings_view(text: str, saved: str | None) -> View:
    """What stands out in a text, each line's mistakes once; nothing of it runs. `saved` is the text as it is kept."""
    found = {(each.line, each.message): each for each in reversed(lint(text))}
    return {
        "is_saved": is_same(text, saved),
        "findings": [each._asdict() for each in reversed(found.values())][:MOST_FINDINGS],
    }


def is_same(text: str, saved: str | None) -> bool:
    """Whether a text is the saved one; the editor takes away what is blank at both ends."""
    return saved is not None and text.strip() == saved.strip()


@cache
def isolation() -> Isolation | None:
    """What rewards are kept from on this machine; None where no process can be started to find out."""
    try:
        with RewardWorker(RewardSource("none", "", "own")) as worker:
            return worker.isolation
    except StudioError:
        return None


def walls_said(t: Translate) -> str:
    """The same in words."""
    found = isolation()
    if found is None:
        return t("rewards.walls.unknown")
    said = found.model_dump().items()
    return " · ".join(t(f"rewards.walls.{wall}.{'yes' if stands else 'no'}") for wall, stands in said)


def saved_text(store: RewardStore, key: str) -> str | None:
    """The text of a saved reward as it is kept; None for what is not saved, or is gone."""
    try:
        return store.get(name_of(key)).text if name_of(key) else None
    except NotFoundError:
        return None


def _own_card(store: RewardStore, name: str, t: Translate) -> View:
    source = store.get(name)
    badge, tone = _vouched(store, source, t)
    count = len(store.versions(name))
    versions = t("rewards.version_of", version=source.sha256[:8], count=count)
    return {"key": key_of(name), "name": name, "said": versions, "badge": badge, "tone": tone}


def _vouched(store: RewardStore, source: RewardSource, t: Translate) -> tuple[str, str]:
    """What a dry run says of a version, and how that is coloured."""
    checked = store.check_of(source.sha256)
    if checked is None:
        return t("rewards.unchecked"), "ended"
    return (t("rewards.passed"), "good") if checked.passed else (t("rewards.not_passed"), "bad")
