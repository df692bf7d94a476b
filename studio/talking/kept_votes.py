"""Blind votes on disk: `votes/<id>.jsonl`, who is compared first, then a vote a line, at last that names were shown."""

import os
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from backend.jsonl import all_lines, append_line
from backend.settings import Workspace
from studio.talking.kept_talks import changed_at
from studio.talking.records import RevealRecord, SessionRecord, VoteRecord, is_id

MOST_LISTED = 30
Unreadable = Literal["missing", "damaged"]
_Line = SessionRecord | VoteRecord | RevealRecord
_LINES: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True)
class Session:
    """A blind vote as far as it went."""

    record: SessionRecord
    votes: tuple[VoteRecord, ...]
    is_revealed: bool

    @property
    def verdicts(self) -> list[Literal["a", "b", "tie"]]:
        """What was voted, in order, by model instead of by side; skipped questions are no votes."""
        found: list[Literal["a", "b", "tie"]] = []
        for vote in self.votes:
            if vote.vote == "tie":
                found.append("tie")
            elif vote.vote != "skip":
                found.append("a" if vote.order[vote.vote == "right"] == 0 else "b")
        return found


class VoteStore:
    """Everything that pages may do with blind votes. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.votes

    def begin(self, record: SessionRecord) -> None:
        """Write the first line. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._append(record.id, record)

    def add(self, session: Session, line: VoteRecord | RevealRecord) -> None:
        """Add one line with one write, whatever a cut-off left before it. Raises OSError."""
        self._append(session.record.id, line)

    def find(self, vote_id: object) -> Session | Unreadable:
        """Read one blind vote, or say why there is none. A torn line is left out; without its first there is none."""
        if not is_id(vote_id):
            return "missing"
        path = self._folder / f"{vote_id}.jsonl"
        if not path.is_file():
            return "missing"
        lines = [line for raw in all_lines(path) if (line := _read(raw)) is not None]
        first = lines[0] if lines else None
        if not isinstance(first, SessionRecord) or first.id != vote_id:
            return "damaged"
        votes = tuple(line for line in lines if isinstance(line, VoteRecord))
        return Session(first, votes, any(isinstance(line, RevealRecord) for line in lines))

    def newest(self) -> list[Session]:
        """The blind votes that went on last, newest first; damaged ones are left out."""
        paths = sorted(self._folder.glob("*.jsonl"), key=changed_at, reverse=True)
        found = [self.find(path.stem) for path in paths[:MOST_LISTED]]
        return [session for session in found if isinstance(session, Session)]

    def delete(self, vote_id: object) -> None:
        """Remove a blind vote; one that is gone already is no error. Raises OSError."""
        if is_id(vote_id):
            (self._folder / f"{vote_id}.jsonl").unlink(missing_ok=True)

    def _append(self, vote_id: str, line: _Line) -> None:
        path = self._folder / f"{vote_id}.jsonl"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            append_line(handle, line.model_dump_json().encode())
        finally:
            os.close(handle)


def _read(raw: bytes) -> _Line | None:
    try:
        return _LINES.validate_json(raw)
    except ValidationError:
        return None
