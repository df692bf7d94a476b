"""The rewards there are, what the editor holds of one visitor, and how it becomes a reward's newest version."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from backend.errors import NotFoundError, SpecError, StudioError
from backend.ids import is_safe_name, slug
from backend.rewards.builtin_library import builtin_names
from backend.rewards.composition import RewardPart, compose
from backend.rewards.contract import Isolation, RewardSource
from backend.rewards.lint import lint
from backend.rewards.sandbox.client import RewardWorker
from backend.rewards.store import RewardStore
from backend.rewards.validation import RewardEditConflict
from studio.pages.rewards.composer import parts_of
from studio.ui.i18n import Translate

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
    keys = [NEW, COMPOSE, *map(key_of, (*builtin_names(), *own))]
    return {
        "chosen": chosen if chosen in keys or not chosen else FIRST,
        "first": FIRST,
        "own": [_own_card(store, name, t) for name in own],
        "builtin": [
            {"key": key_of(name), "name": name, "about": t(f"reward.{name}.about"), "badge": "", "tone": ""}
            for name in builtin_names()
        ],
    }


def head_view(store: RewardStore, key: str, t: Translate) -> View:
    """The chosen reward in words: its name, what a dry run says of it, where it comes from."""
    name = name_of(key)
    if not name:
        return {"title": t(f"rewards.{key}"), "about": t(f"rewards.{key}.help"), "badge": "", "tone": ""}
    source = store.get(name)
    if source.origin == "library":
        return {"title": name, "about": t(f"reward.{name}.about"), "badge": t("rewards.ready"), "tone": "good"}
    badge, tone = _dry_run_badge(store, source, t)
    return {"title": name, "about": t("rewards.version", version=source.sha256[:8]), "badge": badge, "tone": tone}


def version_choices(store: RewardStore, name: str, t: Translate) -> list[tuple[str, str]]:
    """Every version of an own reward to go back to, newest first: when, its hash, what is known of it."""
    choices = []
    for version in store.versions(name):
        dry_run = store.dry_run_of(version.sha256)
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.saved_at))
        label = [moment, version.sha256[:8]]
        label += [t("rewards.passed")] if dry_run and dry_run.passed else []
        label += [t("rewards.current")] if version.is_current else []
        choices.append((" · ".join(label), version.sha256))
    return choices


def findings_view(text: str, saved: str | None) -> View:
    """What stands out in a text, each line's mistakes once; nothing of it runs. `saved` is the text as it is kept."""
    findings = {(each.line, each.message): each for each in reversed(lint(text))}
    return {
        "is_saved": is_same(text, saved),
        "findings": [each._asdict() for each in reversed(findings.values())][:MOST_FINDINGS],
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


def isolation_text(t: Translate) -> str:
    """The same in words."""
    achieved = isolation()
    if achieved is None:
        return t("rewards.walls.unknown")
    layers = achieved.model_dump().items()
    return " · ".join(t(f"rewards.walls.{layer}.{'yes' if is_there else 'no'}") for layer, is_there in layers)


def saved_text(store: RewardStore, key: str) -> str | None:
    """The text of a saved reward as it is kept; None for what is not saved, or is gone."""
    try:
        return store.get(name_of(key)).text if name_of(key) else None
    except NotFoundError:
        return None


class RewardDraft(NamedTuple):
    """A text that was typed but not saved."""

    text: str
    base_sha256: str  # of the saved text that it began from; empty for what is not saved yet


@dataclass(frozen=True, slots=True)
class EditorState:
    """What the editor holds, and the texts that were typed but not saved, by key."""

    key: str = ""
    is_composed: bool = False
    drafts: dict[str, RewardDraft] = field(default_factory=dict)
    base_sha256: str = ""  # of the saved text when the reward, or its draft, was begun; empty for what is not saved yet

    def with_draft(self, store: RewardStore, text: str) -> dict[str, RewardDraft]:
        """The drafts, with what is in the editor now where it is not saved."""
        if self.is_composed or not self.key or is_same(text, saved_text(store, self.key)):
            return self.drafts
        return self.drafts | {self.key: RewardDraft(text, self.base_sha256)}

    def without_draft(self) -> dict[str, RewardDraft]:
        """The drafts, but for what is in the editor now."""
        return {key: draft for key, draft in self.drafts.items() if key != self.key}


def save_reward(
    store: RewardStore, state: EditorState, name: str, code: str, composer: dict[str, Any], t: Translate
) -> RewardSource:
    """Save what the editor holds; a built-in reward stays as it is. Raises SpecError where it cannot be a reward."""
    saved_name = name_of(state.key)
    if saved_name and saved_name not in store.names():
        return store.get(saved_name)
    new_name = saved_name or tidy_name(name)
    if not new_name:
        raise SpecError(t("rewards.no_name"), hint=t("rewards.name.help"))
    parts = tuple(parts_of(composer, t)) if state.is_composed else None
    text = code.strip() + "\n" if parts is None else compose(parts)
    if saved_name and parts and dict(parts) == dict(store.parts_of(saved_name) or ()):
        return store.get(saved_name)  # it keeps its Python, whichever version of the studio wrote that
    if saved_name and parts is None and is_same(text, saved_text(store, state.key)):
        return store.get(saved_name)
    if not saved_name and new_name in store.names() and not is_same(text, store.get(new_name).text):
        raise SpecError(t("rewards.taken", name=new_name), hint=t("rewards.taken.hint"))
    return save_version(store, state, new_name, text, t, parts)


def save_version(
    store: RewardStore,
    state: EditorState,
    name: str,
    text: str,
    t: Translate,
    parts: Sequence[RewardPart] | None = None,
) -> RewardSource:
    """Save a text over the version that the visitor opened. Raises SpecError where somebody saved another meanwhile."""
    expected = state.base_sha256 if name_of(state.key) == name else ""
    try:
        return store.save(name, text, parts, expected=expected)
    except RewardEditConflict as error:
        version = store.get(name).sha256[:8]
        raise SpecError(t("rewards.changed", name=name, version=version), hint=t("rewards.changed.hint")) from error


def new_drafts(store: RewardStore, state: EditorState, text: str, t: Translate) -> dict[str, RewardDraft]:
    """The drafts, with a new reward that begins with this text.

    Raises:
        SpecError: a new reward that was typed, and is written nowhere else, would be lost.
    """
    unsaved = state.drafts.get(NEW, RewardDraft("", "")).text
    saved_texts = (text, template(t), *(store.get(name).text for name in (*builtin_names(), *store.names())))
    if unsaved.strip() and not any(is_same(unsaved, each) for each in saved_texts):
        raise SpecError(t("rewards.new_unsaved"), hint=t("rewards.new_unsaved.hint"))
    return state.drafts | {NEW: RewardDraft(text, "")}


def copy_name(store: RewardStore, name: str) -> str:
    """A name for a copy that no reward has."""
    base, names = f"{name}-copy", store.names()
    return next(each for each in (base, *(f"{base}-{n}" for n in range(2, len(names) + 3))) if each not in names)


def tidy_name(name: str) -> str:
    """What a person typed, as a name may be written; empty where nothing is left of it."""
    name = (name or "").strip()
    return name if is_safe_name(name) else slug(name, fallback="")


def _own_card(store: RewardStore, name: str, t: Translate) -> View:
    source = store.get(name)
    badge, tone = _dry_run_badge(store, source, t)
    count = len(store.versions(name))
    versions = t("rewards.version_of", version=source.sha256[:8], count=count)
    return {"key": key_of(name), "name": name, "about": versions, "badge": badge, "tone": tone}


def _dry_run_badge(store: RewardStore, source: RewardSource, t: Translate) -> tuple[str, str]:
    """What a dry run says of a version, and how that is coloured."""
    dry_run = store.dry_run_of(source.sha256)
    if dry_run is None:
        return t("rewards.unchecked"), "ended"
    return (t("rewards.passed"), "good") if dry_run.passed else (t("rewards.not_passed"), "bad")
