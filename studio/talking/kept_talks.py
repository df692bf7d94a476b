"""Conversations on disk: `talks/<id>.json`, and beside it `talks/<id>/` with the pictures it was about.

Pictures that visitors ask about lie among the uploads, which are swept after a day; a kept conversation holds copies.
"""

import shutil
import threading
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from backend.jsonl import write_atomically
from backend.settings import Workspace
from studio.talking.records import TalkId, TalkPlace, TalkRecord, is_id, new_id
from studio.uploads.asked_pictures import asked_folder

MOST_LISTED = 30
_SAVING = threading.Lock()  # between a look at what is kept and the writing; one process serves a workspace
Unreadable = Literal["missing", "damaged"]


class TalkStore:
    """Everything that pages may do with kept conversations. Holds no state of its own: the disk is it."""

    def __init__(self, workspace: Workspace) -> None:
        self._folder = workspace.talks
        self._asked = asked_folder(workspace)

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
        """Write a conversation whole, its pictures first.

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
            _copy(record.picture_names, self._asked, self._folder / talk_id)
            written = record.model_copy(update={"id": TalkId(talk_id)})
            write_atomically(self._folder / f"{talk_id}.json", written.model_dump_json(indent=1).encode())
            place.id, place.is_apart = talk_id, place.is_apart or not is_ours
            place.seen.add(record.saved_at)

    def lay_out(self, talk_id: str) -> None:
        """Put a conversation's pictures where those that are asked about lie, so that it can go on."""
        record = self.find(talk_id)
        if isinstance(record, TalkRecord):
            _copy(record.picture_names, self._folder / record.id, self._asked)

    def delete(self, talk_id: object) -> None:
        """Remove a conversation and its pictures; one that is gone already is no error. Raises OSError."""
        if is_id(talk_id):
            (self._folder / f"{talk_id}.json").unlink(missing_ok=True)
            shutil.rmtree(self._folder / str(talk_id), ignore_errors=True)


def _copy(names: tuple[str, ...], source: Path, target: Path) -> None:
    """Copy the pictures that are there; those already copied count as new, so that no sweep takes them."""
    for name in names:
        if (target / name).is_file():
            (target / name).touch()
        elif (source / name).is_file() and not (source / name).is_symlink():
            target.mkdir(parents=True, exist_ok=True)
            partial = target / f".{name}.{threading.get_ident()}.tmp"
            shutil.copyfile(source / name, partial)
            partial.replace(target / name)


def changed_at(path: Path) -> float:
    """When a kept file was written last, in seconds since the epoch; 0 where it is gone by now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # deleted meanwhile
        return 0.0
