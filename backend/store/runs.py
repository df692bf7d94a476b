"""The runs as everyone outside this package sees them: one door to the index."""

import difflib
import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from backend.errors import NotFoundError, StudioError
from backend.ids import RunId
from backend.runs.folder import TERMINAL, RunFolder, RunState
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store import ingest, queue, rebuild
from backend.store.curves import BucketCache, Curves, read_curves, read_metric_keys
from backend.store.database import open_database
from backend.store.queue import Holder, Lease
from backend.store.tables import recorded_events, runs
from backend.store.views import RecordedEvent, RunListing, RunView, recorded_event, view_of

MAX_NAME = 120  # characters
MAX_NOTES = 20_000
T = TypeVar("T")


class RunStore:
    """Reads and writes the index of one workspace. Safe to use from many threads and processes at once."""

    def __init__(self, workspace: Workspace) -> None:
        """Open the index, or make it. Raises StudioError where that cannot be done."""
        self.workspace = workspace
        workspace.output.mkdir(parents=True, exist_ok=True)
        self._database = open_database(workspace.database)
        self._thinned = BucketCache()
        self._copies: set[RunFolder] = set()  # taken in while they may have been half copied

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def add(self, run_id: RunId, spec: RunSpec, created_at: float) -> None:
        """Put a new run at the end of the queue; one that is known already stays as it is.

        Args:
            run_id: the name of its folder.
            spec: what it is asked to do.
            created_at: seconds since the epoch.
        """
        self._insert(rebuild.as_row(run_id, spec, created_at))

    def get(self, run_id: str) -> RunView:
        """Return one run. Raises NotFoundError, naming the nearest one."""
        with self._database.read() as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).mappings().one_or_none()
            if row is None:
                raise _not_found(run_id, _ids_and_names(connection))
            return view_of(row, self.workspace.output)

    def find(self, text: str) -> RunView:
        """Return the run that a person means by an id, a name, or the beginning of an id, where it is the only one.

        Raises:
            NotFoundError: no run or several runs are meant.
        """
        with self._database.read() as connection:
            ids_and_names = _ids_and_names(connection)
        by_id = [run_id for run_id, _ in ids_and_names if run_id == text]
        by_name = [run_id for run_id, name in ids_and_names if name == text]
        by_prefix = [run_id for run_id, _ in ids_and_names if text and run_id.startswith(text)]
        for meant in (by_id, by_name, by_prefix):
            if len(meant) == 1:
                return self.get(meant[0])
            if meant:
                listed = ", ".join(f"`{run_id}`" for run_id in meant[:5])
                raise NotFoundError(
                    f"`{text}` means {len(meant)} runs: {listed}", hint="Give the whole id of one of them"
                )
        raise _not_found(text, ids_and_names)

    def names(self) -> dict[str, str]:
        """What people call each run, by id."""
        with self._database.read() as connection:
            return dict(_ids_and_names(connection))

    def views(
        self, limit: int = 200, *, states: Iterable[RunState] = (), kinds: Iterable[str] = (), text: str = ""
    ) -> list[RunView]:
        """List runs, newest first.

        Args:
            limit: at most so many.
            states: only runs in one of these; empty means all.
            kinds: only runs of one of these; empty means all.
            text: only runs whose id, name or notes hold this, whatever its case.
        """
        chosen = select(runs).order_by(runs.c.number.desc()).limit(limit)
        if tuple(states):
            chosen = chosen.where(runs.c.state.in_(tuple(states)))
        if tuple(kinds):
            chosen = chosen.where(runs.c.kind.in_(tuple(kinds)))
        if text:
            holds = [column.icontains(text, autoescape=True) for column in (runs.c.id, runs.c.name, runs.c.notes)]
            chosen = chosen.where(holds[0] | holds[1] | holds[2])
        return self._views(chosen)

    def listing(self, show: Callable[[RunView], T]) -> RunListing[T]:
        """Keep what `show` makes of each run for pages that ask often what has changed."""
        return RunListing(self._database, self.workspace.output, show)

    def annotate(self, run_id: RunId, name: str, notes: str, *, seen: tuple[str, str]) -> bool:
        """Replace name and notes where they are still those that were seen; tell whether they were.

        Raises:
            StudioError: an empty or overlong name, or overlong notes; nothing has changed then.
        """
        name = _checked_name(name)
        _check_notes(notes)
        still = (runs.c.id == run_id, runs.c.name == seen[0], runs.c.notes == seen[1])
        with self._database.write() as connection:
            return connection.execute(update(runs).where(*still).values(name=name, notes=notes)).rowcount == 1

    def rename(self, run_id: RunId, name: str) -> None:
        """Change the name that lists show. Raises StudioError for an empty or overlong name, NotFoundError."""
        self._update(run_id, name=_checked_name(name))

    def set_notes(self, run_id: RunId, notes: str) -> None:
        """Replace the notes. Raises StudioError for overlong ones, NotFoundError."""
        _check_notes(notes)
        self._update(run_id, notes=notes)

    def remove(self, run_id: RunId) -> None:
        """Forget a run and its curves; its folder is left alone. An unknown run is no error."""
        with self._database.write() as connection:
            queue.release(connection, run_id)
            connection.execute(delete(runs).where(runs.c.id == run_id))

    def transition(
        self, run_id: RunId, to: RunState, from_states: Iterable[RunState], *, reason: str = "", hint: str = ""
    ) -> bool:
        """Move a run to another state if it is in one of `from_states` now; tell whether it was.

        A terminal state is never left, whoever asks. Of several who ask at once, one is told True.
        """
        allowed = [state for state in from_states if state not in TERMINAL]
        changes: dict[str, Any] = {"state": to, "reason": reason, "hint": hint}
        if to in TERMINAL:
            changes |= {"ended_at": time.time(), "seconds_left": None}
        with self._database.write() as connection:
            moved = update(runs).where(runs.c.id == run_id, runs.c.state.in_(allowed)).values(**changes)
            return connection.execute(moved).rowcount == 1

    def ingest(self, folder: RunFolder) -> int:
        """Carry new events of a run into the index; return how many. May be called at any time, by anyone."""
        return ingest.ingest(self._database, folder)

    def rebuild(self, is_at_work: Callable[[RunFolder], bool] = lambda _: False) -> list[RunId]:
        """Take in every run folder that the index does not know, curves included; return their ids, oldest first.

        One that may be half copied, and does not say how the run ended, waits until nothing in it changes. Where
        `is_at_work` knows somebody who watches over it, it is no copy.
        """
        self._follow_copies()
        with self._database.read() as connection:
            known_ids = set(connection.execute(select(runs.c.id)).scalars())
        added = []
        for folder in rebuild.unknown_folders(self.workspace.output, known_ids):
            try:
                row, is_copy = rebuild.inspect_folder(folder, is_at_work)
                if row is not None and self._insert(row):
                    self._copies |= {folder} if is_copy else set()
                    added.append(folder.run_id)
                    self.ingest(folder)
            except (OSError, ValueError, RecursionError) as error:
                rebuild.complain(folder, error)
        return added

    def _follow_copies(self) -> None:
        for folder in tuple(self._copies):
            self._copies.discard(folder)
            with suppress(OSError):  # it went, or may not be read any more
                self._copies |= {folder} if rebuild.is_young(folder) else set()
                self.ingest(folder)

    def curves(self, run_ids: list[RunId], key: str, cursor: str = "") -> Curves:
        """Read the points of one metric behind `cursor`: where it is empty, whole curves of at most 2,000 points."""
        with self._database.read() as connection:
            return read_curves(connection, self._thinned, run_ids, key, cursor)

    def metric_keys(self, run_ids: list[RunId]) -> list[str]:
        """Name every metric that one of the runs has reported, sorted."""
        with self._database.read() as connection:
            return read_metric_keys(connection, run_ids)

    def notes_of(self, run_id: RunId) -> list[RecordedEvent]:
        """What the program noted for people, oldest first."""
        return self.recorded_events_of(run_id, "note")

    def recorded_events_of(self, run_id: RunId, kind: str) -> list[RecordedEvent]:
        """The program's notes, samples, checkpoints or end, oldest first."""
        chosen = select(recorded_events).where(recorded_events.c.run_id == run_id, recorded_events.c.kind == kind)
        with self._database.read() as connection:
            return [
                recorded_event(row) for row in connection.execute(chosen.order_by(recorded_events.c.seq)).mappings()
            ]

    def claim_next(
        self, devices: tuple[str, ...], pick_port: queue.PickPort, only: Collection[str] | None = None
    ) -> queue.Claim | None:
        """Start the first queued run, or of `only`, whose devices are free: it is `starting` and holds them."""
        with self._database.write() as connection:
            return queue.claim_next(connection, devices, pick_port, time.time(), only)

    def hold(self, run_id: RunId, devices: tuple[str, ...]) -> None:
        """Write down that a run found at work holds its devices."""
        with self._database.write() as connection:
            queue.hold(connection, run_id, devices, time.time())

    def hold_for_chat(self, chat: Lease, devices: tuple[str, ...], *, beside_runs: bool = False) -> bool:
        """Take a device for a chat where nobody keeps it out and no run waits for it; tell whether it was taken.

        Args:
            chat: the lease it wants. One that keeps nobody out, on a CPU, may be taken at any time.
            devices: every device of this machine.
            beside_runs: take it all the same.
        """
        with self._database.write() as connection:
            taken = queue.taken_devices(connection) | queue.wanted_devices(connection, devices)
            is_allowed = beside_runs or not chat.keeps_out or chat.device not in taken
            if is_allowed:
                queue.hold_for_chat(connection, chat)
            return is_allowed

    def hand_over(self, holder: str, process: Holder) -> bool:
        """Let the end of `process` free what a chat holds; tell whether it holds anything."""
        with self._database.write() as connection:
            return queue.hand_over(connection, holder, process)

    def release(self, holder: str) -> None:
        """Give back a run's devices, once no process of it is left, or a chat's."""
        with self._database.write() as connection:
            queue.release(connection, holder)

    def leases(self) -> list[Lease]:
        """Who holds which device, runs and chats."""
        with self._database.read() as connection:
            return queue.all_leases(connection)

    def holders(self) -> dict[str, RunId]:
        """Which run holds each device that a run holds."""
        return {lease.device: lease.run_id for lease in self.leases() if lease.run_id is not None}

    def wanted_devices(self, devices: tuple[str, ...]) -> set[str]:
        """Of this machine's devices, those that a queued run could start on."""
        with self._database.read() as connection:
            return queue.wanted_devices(connection, devices)

    def _views(self, chosen: Select[Any]) -> list[RunView]:
        with self._database.read() as connection:
            return [view_of(row, self.workspace.output) for row in connection.execute(chosen).mappings()]

    def _insert(self, row: dict[str, Any]) -> bool:
        next_number = select(func.coalesce(func.max(runs.c.number), 0) + 1).scalar_subquery()
        with self._database.write() as connection:
            new = insert(runs).values(number=next_number, **row).on_conflict_do_nothing(index_elements=[runs.c.id])
            return connection.execute(new).rowcount == 1

    def _update(self, run_id: RunId, **changes: Any) -> None:
        with self._database.write() as connection:
            changed_rows = connection.execute(update(runs).where(runs.c.id == run_id).values(**changes)).rowcount
        if not changed_rows:
            self.get(run_id)  # says what is near


def _checked_name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise StudioError(f"A name of {len(name)} characters does not fit", hint=f"Give 1 to {MAX_NAME} characters")
    return name


def _check_notes(notes: str) -> None:
    if len(notes) > MAX_NOTES:
        raise StudioError(f"Notes of {len(notes):,} characters do not fit", hint=f"Keep them under {MAX_NOTES:,}")


def _ids_and_names(connection: Connection) -> list[tuple[str, str]]:
    return [(row.id, row.name) for row in connection.execute(select(runs.c.id, runs.c.name))]


def _not_found(text: str, ids_and_names: Iterable[tuple[str, str]]) -> NotFoundError:
    names = {name for pair in ids_and_names for name in pair}
    close = difflib.get_close_matches(text, names, n=1, cutoff=0.5)
    hint = f"Did you mean `{close[0]}`?" if close else "`studio runs` lists them"
    return NotFoundError(f"There is no run `{text}`", hint=hint)
