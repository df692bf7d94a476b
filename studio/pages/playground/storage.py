"""Conversations and blind votes on disk: `talks/<id>.json` with images beside, `votes/<id>.jsonl` a vote a line."""

import os
import re
import secrets
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, NewType

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from backend.conversation import Message
from backend.earlier_names import renamed
from backend.jsonl import all_lines, append_line, write_atomically
from backend.settings import Workspace
from backend.spec.sampling import ChatSettings
from studio.web.images import chat_images_folder

TalkId = NewType("TalkId", str)
VoteId = NewType("VoteId", str)
Side = Literal["left", "right", "tie", "skip"]
_ID = re.compile(r"[0-9a-f]{24}")
_IMAGE = r"^[0-9a-f]{8,64}\.(jpg|png|webp)$"
MOST_LISTED = 30
_SAVING = threading.Lock()  # between a look at what is kept and the writing; one process serves a workspace
Unreadable = Literal["missing", "damaged"]


class StoredRecord(BaseModel):
    """Rests on disk; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ColumnRecord(StoredRecord):
    """One model's side of a conversation."""

    model: str  # as `resolve_checkpoint` takes it; empty where the column stands empty
    turns: tuple[Message, ...]
    images: tuple[Annotated[str, Field(pattern=_IMAGE)], ...]  # names, in the order of their `<image>`s

    _earlier = model_validator(mode="before")(renamed({"pictures": "images"}))


class TalkRecord(StoredRecord):
    """`talks/<id>.json`: a conversation with every model that took part."""

    id: TalkId
    begun_at: float  # seconds since the epoch
    saved_at: float
    settings: ChatSettings  # of the last question
    columns: tuple[ColumnRecord, ...]

    _earlier = model_validator(mode="before")(renamed({"manner": "settings"}))

    @property
    def title(self) -> str:
        """The first words that a person said; empty where it was only an image."""
        prompts = [turn.content for column in self.columns for turn in column.turns if turn.role == "user"]
        return prompts[0].replace("<image>", "").strip() if prompts else ""

    @property
    def image_names(self) -> tuple[str, ...]:
        """Every image of it, each once."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.images))


class BlindVoteRecord(StoredRecord):
    """The first line of `votes/<id>.jsonl`: who is compared on what. Pages may not say the models before the end."""

    kind: Literal["session"] = "session"
    id: VoteId
    begun_at: float
    models: tuple[str, str]  # as `resolve_checkpoint` takes them: a, then b
    dataset: str
    questions: int  # rows to judge when it began
    seed: int  # draws the order of the questions, and who stands left
    settings: ChatSettings

    _earlier = model_validator(mode="before")(renamed({"manner": "settings"}))


class VoteRecord(StoredRecord):
    """One judged question."""

    kind: Literal["vote"] = "vote"
    question: str  # the row's id
    order: tuple[int, int]  # which of `models` stood left, and which right
    vote: Side
    answers: tuple[str, str]  # left, right
    voted_at: float


class RevealRecord(StoredRecord):
    """The last line: the names were shown, so nobody votes here any more."""

    kind: Literal["reveal"] = "reveal"
    revealed_at: float


@dataclass
class TalkPlace:
    """Where a page keeps its conversation. All events of the page share one, for two columns may end at once."""

    id: str = ""  # empty until something is asked
    seen: set[float] = field(default_factory=set)  # every `saved_at` of it that the page has read or written
    is_apart: bool = False  # whether it has an id of its own because somebody else went on under the first one


def new_id() -> str:
    """A name for a file that nobody guesses: it is all that a link holds."""
    return secrets.token_hex(12)


def is_id(text: object) -> bool:
    """Whether a browser's word can be such a name; anything else never becomes a path."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


class TalkStore:
    """Everything that pages may do with kept conversations. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.talks
        self._chat_images = chat_images_folder(workspace)

    def find(self, talk_id: object) -> TalkRecord | Unreadable:
        """Read one conversation, or say why there is none."""
        if not is_id(talk_id):
            return "missing"
        path = self._folder / f"{talk_id}.json"
        try:
            record = TalkRecord.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return "missing"
        except (OSError, ValidationError):
            return "damaged"
        return record if record.id == talk_id else "damaged"

    def newest(self) -> list[TalkRecord]:
        """The conversations that were saved last, newest first; damaged ones are left out."""
        paths = sorted(self._folder.glob("*.json"), key=changed_at, reverse=True)[:MOST_LISTED]
        found = [self.find(path.stem) for path in paths]
        return [record for record in found if isinstance(record, TalkRecord)]

    def save(self, place: TalkPlace, record: TalkRecord) -> None:
        """Write a conversation whole, its images first.

        Where somebody else wrote or deleted it since the page saw it, it gets an id of its own: both are kept.

        Args:
            place: where the page keeps it; takes what was written.
            record: what to write, under the id of the place.

        Raises:
            OSError: the disk refuses; what was there before is untouched.
        """
        with _SAVING:
            stored = self.find(place.id)
            is_ours = stored.saved_at in place.seen if isinstance(stored, TalkRecord) else not place.seen
            talk_id = place.id if is_ours else new_id()
            self._folder.mkdir(parents=True, exist_ok=True)
            _copy(record.image_names, self._chat_images, self._folder / talk_id)
            written = record.model_copy(update={"id": TalkId(talk_id)})
            write_atomically(self._folder / f"{talk_id}.json", written.model_dump_json(indent=1).encode())
            place.id, place.is_apart = talk_id, place.is_apart or not is_ours
            place.seen.add(record.saved_at)

    def lay_out(self, talk_id: str) -> None:
        """Put a conversation's images where those that are asked about lie, so that it can go on."""
        record = self.find(talk_id)
        if isinstance(record, TalkRecord):
            _copy(record.image_names, self._folder / record.id, self._chat_images)

    def delete(self, talk_id: object) -> None:
        """Remove a conversation and its images; one that is gone already is no error. Raises OSError."""
        if is_id(talk_id):
            (self._folder / f"{talk_id}.json").unlink(missing_ok=True)
            shutil.rmtree(self._folder / str(talk_id), ignore_errors=True)


def changed_at(path: Path) -> float:
    """When a kept file was written last, in seconds since the epoch; 0 where it is gone by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # deleted meanwhile
        return 0.0


_Line = BlindVoteRecord | VoteRecord | RevealRecord
_LINES: TypeAdapter[_Line] = TypeAdapter(Annotated[_Line, Field(discriminator="kind")])


@dataclass(frozen=True, slots=True)
class BlindVote:
    """A blind vote as far as it went."""

    record: BlindVoteRecord
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

    def begin(self, record: BlindVoteRecord) -> None:
        """Write the first line. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._append(record.id, record)

    def add(self, session: BlindVote, line: VoteRecord | RevealRecord) -> None:
        """Add one line with one write, whatever a cut-off left before it. Raises OSError."""
        self._append(session.record.id, line)

    def find(self, vote_id: object) -> BlindVote | Unreadable:
        """Read one blind vote, or say why there is none. A torn line is left out; without its first there is none."""
        if not is_id(vote_id):
            return "missing"
        path = self._folder / f"{vote_id}.jsonl"
        if not path.is_file():
            return "missing"
        lines = [line for raw in all_lines(path) if (line := _read(raw)) is not None]
        first = lines[0] if lines else None
        if not isinstance(first, BlindVoteRecord) or first.id != vote_id:
            return "damaged"
        votes = tuple(line for line in lines if isinstance(line, VoteRecord))
        return BlindVote(first, votes, any(isinstance(line, RevealRecord) for line in lines))

    def newest(self) -> list[BlindVote]:
        """The blind votes that went on last, newest first; damaged ones are left out."""
        paths = sorted(self._folder.glob("*.jsonl"), key=changed_at, reverse=True)
        found = [self.find(path.stem) for path in paths[:MOST_LISTED]]
        return [session for session in found if isinstance(session, BlindVote)]

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


def _copy(names: tuple[str, ...], source: Path, target: Path) -> None:
    """Copy the images that are there; those already copied count as new, so that no sweep takes them."""
    for name in names:
        if (target / name).is_file():
            (target / name).touch()
        elif (source / name).is_file() and not (source / name).is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            partial = target / f".{name}.{threading.get_ident()}.tmp"
            shutil.copyfile(source / name, partial)
            partial.replace(target / name)


def _read(raw: bytes) -> _Line | None:
    try:
        return _LINES.validate_json(raw)
    except ValidationError:
        return None
