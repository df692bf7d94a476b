"""Who holds which device: runs, and the programs of chats."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from backend.ids import RunId
from backend.store.tables import leases, runs


class Holder(NamedTuple):
    """The process whose end frees a chat's lease."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """One device held by one run or chat."""

    device: str
    holder: str
    run_id: RunId | None  # None: a chat
    label: str  # a run's name, or what a chat talks to
    keeps_out: bool  # whether runs wait for its end
    process: Holder | None  # of a chat
    since: float  # seconds since the epoch

    @property
    def said(self) -> str:
        """Name the holder for a person."""
        return f"the run `{self.run_id}`" if self.run_id else f"a chat with `{self.label}`"


def hold(connection: Connection, run_id: RunId, devices: tuple[str, ...], now: float) -> None:
    """Write down that `run_id` holds `devices`; what it holds already stays as it is."""
    rows = [{"device": device, "holder": run_id, "run_id": run_id, "acquired_at": now} for device in devices]
    if rows:
        connection.execute(insert(leases).on_conflict_do_nothing(), rows)


def hold_for_chat(connection: Connection, chat: Lease) -> None:
    """Write down that a chat holds a device; whether it may is decided in the same transaction, in `RunStore`."""
    process = chat.process or Holder(0, 0, "")
    row = {
        "device": chat.device, "holder": chat.holder, "label": chat.label, "keeps_out": int(chat.keeps_out),
        "pid": process.pid, "start_ticks": process.start_ticks, "boot_id": process.boot_id, "acquired_at": chat.since,
    }  # fmt: skip
    connection.execute(insert(leases).on_conflict_do_nothing(), row)


def hand_over(connection: Connection, holder: str, process: Holder) -> bool:
    """Let another process' end free what `holder` holds; tell whether it holds anything.

    At first that is the process that starts the chat's program.
    """
    changed = connection.execute(
        update(leases)
        .where(leases.c.holder == holder, leases.c.run_id.is_(None))
        .values(pid=process.pid, start_ticks=process.start_ticks, boot_id=process.boot_id)
    )
    return changed.rowcount > 0


def release(connection: Connection, holder: str) -> None:
    """Give back whatever `holder` holds."""
    connection.execute(delete(leases).where(leases.c.holder == holder))


def all_leases(connection: Connection) -> list[Lease]:
    """Every lease, by device and then by age."""
    names = select(leases, runs.c.name).outerjoin(runs, runs.c.id == leases.c.run_id)
    rows = connection.execute(names.order_by(leases.c.device, leases.c.acquired_at)).mappings()
    return [
        Lease(
            device=row["device"],
            holder=row["holder"],
            run_id=RunId(row["run_id"]) if row["run_id"] is not None else None,
            label=row["name"] if row["run_id"] is not None else row["label"],
            keeps_out=bool(row["keeps_out"]),
            process=Holder(row["pid"], row["start_ticks"], row["boot_id"]) if row["run_id"] is None else None,
            since=row["acquired_at"],
        )
        for row in rows
    ]


def keepers_out(connection: Connection) -> set[str]:
    """The devices that nobody else may take unasked."""
    return set(connection.execute(select(leases.c.device).where(leases.c.keeps_out == 1)).scalars())
