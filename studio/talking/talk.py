"""One visitor's conversation with one model, and how the page shows it."""

from dataclasses import dataclass, replace
from typing import Any

from backend.conversation import PLACEHOLDER, Message
from studio.uploads.dataset_views import turns_view

View = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Talk:
    """Turns so far, and the names of the pictures that their `<image>`s stand for, in order."""

    turns: tuple[Message, ...] = ()
    pictures: tuple[str, ...] = ()

    def asked(self, text: str, pictures: tuple[str, ...] = ()) -> "Talk":
        """Add a question; behind one that was never answered it becomes part of that one, so that turns alternate."""
        content = PLACEHOLDER * len(pictures) + text
        turns = self.turns
        if turns and turns[-1].role == "user":
            content, turns = f"{turns[-1].content}\n{content}", turns[:-1]
        return Talk((*turns, Message(role="user", content=content)), (*self.pictures, *pictures))

    def answered(self, text: str) -> "Talk":
        """Add an answer; an empty one leaves the question open."""
        return replace(self, turns=(*self.turns, Message(role="assistant", content=text))) if text else self

    def unanswered(self) -> "Talk":
        """Take the last answer back, so that its question can be answered again."""
        is_answered = self.turns and self.turns[-1].role == "assistant"
        return replace(self, turns=self.turns[:-1]) if is_answered else self

    def view(self, status: str = "", *, is_busy: bool = False, failure: tuple[str, str] | None = None) -> View:
        """The conversation as its column shows it; `failure` is what went wrong and what to do."""
        pictures = [{"of": "asked", "name": name} for name in self.pictures]
        turns = self.turns
        if turns and turns[-1].role == "user" and not (is_busy or failure):
            turns = (*turns, Message(role="assistant", content=""))  # it was asked and said nothing
        shown = {"message": failure[0], "hint": failure[1]} if failure else None
        return {"turns": turns_view(turns, pictures), "status": status, "busy": is_busy, "failure": shown}
