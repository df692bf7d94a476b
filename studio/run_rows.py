"""The list of runs for many pages at once: every row is put into words once, and only changed rows travel."""

import secrets
from dataclasses import dataclass

from backend.ids import RunId
from backend.jsonl import strict_json
from backend.runs.folder import RunFolder
from backend.store.listing import Entry, Snapshot
from backend.store.runs import RunStore
from backend.store.views import RunView
from studio.watching import run_row


@dataclass(frozen=True, slots=True)
class Row:
    """One run as a list shows it, and what a page's questions about it need."""

    text: str  # JSON, its closing brace left open for the number
    folder: RunFolder
    is_over: bool


class RunRows:
    """Answers what is new in the list. Safe to use from many threads."""

    def __init__(self, store: RunStore) -> None:
        """Read nothing yet."""
        self._listing = store.listing(_row)
        self._name = secrets.token_hex(4)  # of this list's count of changes: another process has its own
        self._whole: tuple[int, str] = (-1, "")

    def get(self, run_id: str) -> Row | None:
        """One run; None where there is none of that id."""
        entry = self._listing.snapshot().entries.get(RunId(run_id))
        return None if entry is None else entry.shown

    def since(self, seen: str = "") -> str:
        """Tell, as JSON, what has changed since a version of the list.

        Args:
            seen: the version that the page has; empty, unknown or too old means that it gets the whole list.

        Returns:
            `{"version", "is_whole", "runs", "gone"}`: the whole list, newest first, or the rows that are new or have
            changed and the ids that are gone; `null` where the page has it all.
        """
        now = self._listing.snapshot()
        change = self._change_of(seen, now)
        if change == now.change:
            return "null"
        if change is None:
            if self._whole[0] != now.change:
                self._whole = (now.change, self._told(now, now.newest_first(), [], is_whole=True))
            return self._whole[1]
        changed = [entry for entry in now.newest_first() if entry.change > change]
        gone = [run_id for removed_by, run_id in now.gone if removed_by > change and run_id not in now.entries]
        return self._told(now, changed, gone, is_whole=False)

    def _change_of(self, seen: str, now: Snapshot[Row]) -> int | None:
        """The change that a version names; None where only the whole list will do."""
        name, _, count = seen.partition("-")
        if name != self._name or not (count.isascii() and count.isdecimal()) or len(count) > 15:
            return None
        return int(count) if now.told_since <= int(count) <= now.change else None

    def _told(self, now: Snapshot[Row], rows: list[Entry[Row]], gone: list[RunId], *, is_whole: bool) -> str:
        told = ",".join(f'{entry.shown.text},"number":{entry.number}}}' for entry in rows)
        version = strict_json(f"{self._name}-{now.change}")
        return f'{{"version":{version},"is_whole":{strict_json(is_whole)},"gone":{strict_json(gone)},"runs":[{told}]}}'


def _row(view: RunView) -> Row:
    return Row(strict_json(run_row(view))[:-1], view.folder, view.is_over)
