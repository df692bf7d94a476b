"""What the editor holds of one visitor, and how it becomes a reward's newest version."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from backend.errors import SpecError
from backend.ids import is_safe_name, slug
from backend.rewards.composer import Part, compose
from backend.rewards.contract import RewardSource
from backend.rewards.library import library_names
from backend.rewards.refusals import ChangedElsewhere
from backend.rewards.store import RewardStore
from studio.i18n import Translate
from studio.rewarding.composing import parts_of
from studio.rewarding.shelf import NEW, is_same, name_of, saved_text, template


class Draft(NamedTuple):
    """A text that was typed but not saved."""

    text: str
    seen: str  # SHA-256 of the saved text that it began from; empty for what is not saved yet


@dataclass(frozen=True, slots=True)
class Held:
    """What the editor holds, and the texts that were typed but not saved, by key."""

    key: str = ""
    is_composed: bool = False
    drafts: dict[str, Draft] = field(default_factory=dict)
    seen: str = (
        ""  # SHA-256 of the saved text when the reward, or its draft, was begun; empty for what is not saved yet
    )

    def with_draft(self, store: RewardStore, text: str) -> dict[str, Draft]:
        """The drafts, with what is in the editor now where it is not saved."""
        if self.is_composed or not self.key or is_same(text, saved_text(store, self.key)):
            return self.drafts
        return self.drafts | {self.key: Draft(text, self.seen)}

    def without_draft(self) -> dict[str, Draft]:
        """The drafts, but for what is in the editor now."""
        return {key: draft for key, draft in self.drafts.items() if key != self.key}


def keep(store: RewardStore, held: Held, name: str, code: str, composer: dict[str, Any], t: Translate) -> RewardSource:
    """Save what the editor holds; a ready reward stays as it is. Raises SpecError where it cannot be a reward."""
    known = name_of(held.key)
    if known and known not in store.names():
        return store.get(known)
    wanted = known or tidy(name)
    if not wanted:
        raise SpecError(t("rewards.no_name"), hint=t("rewards.name.help"))
    parts = parts_of(composer, t) if held.is_composed else None
    text = compose(parts) if parts is not None else code.strip() + "\n"
    if not known and wanted in store.names() and not is_same(text, store.get(wanted).text):
        raise SpecError(t("rewards.taken", name=wanted), hint=t("rewards.taken.hint"))
    if parts is None and known and is_same(code, saved_text(store, held.key)):
        return store.get(known)
    return save_over(store, held, wanted, text, t, parts)


def save_over(
    store: RewardStore, held: Held, name: str, text: str, t: Translate, parts: Sequence[Part] | None = None
) -> RewardSource:
    """Save a text over the version that the visitor opened. Raises SpecError where somebody saved another meanwhile."""
    expected = held.seen if name_of(held.key) == name else ""
    try:
        return store.save(name, text, parts, expected=expected)
    except ChangedElsewhere as error:
        version = store.get(name).sha256[:8]
        raise SpecError(t("rewards.changed", name=name, version=version), hint=t("rewards.changed.hint")) from error


def new_drafts(store: RewardStore, held: Held, text: str, t: Translate) -> dict[str, Draft]:
    """The drafts, with a new reward that begins with this text.

    Raises:
        SpecError: a new reward that was typed, and is written nowhere else, would be lost.
    """
    rests = held.drafts.get(NEW, Draft("", "")).text
    written = (text, template(t), *(store.get(name).text for name in (*library_names(), *store.names())))
    if rests.strip() and not any(is_same(rests, each) for each in written):
        raise SpecError(t("rewards.new_unsaved"), hint=t("rewards.new_unsaved.hint"))
    return held.drafts | {NEW: Draft(text, "")}


def copy_name(store: RewardStore, name: str) -> str:
    """A name for a copy that no reward has."""
    base, known = f"{name}-copy", store.names()
    return next(each for each in (base, *(f"{base}-{n}" for n in range(2, len(known) + 3))) if each not in known)


def tidy(name: str) -> str:
    """What a person typed, as a name may be written; empty where nothing is left of it."""
    name = (name or "").strip()
    return name if is_safe_name(name) else slug(name, fallback="")
