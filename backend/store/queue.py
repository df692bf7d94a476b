"""Who runs next, on which devices, and who holds them: runs and the programs of chats."""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from backend.ids import RunId
from backend.runs.folder import ACTIVE
from backend.spec.training import DeviceKnobs
from backend.store.tables import leases, runs
from backend.store.views import readable_spec

PickPort = Callable[[set[int]], int]


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
    def holder_label(self) -> str:
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
        "device": chat.device,
        "holder": chat.holder,
        "label": chat.label,
        "keeps_out": int(chat.keeps_out),
        "pid": process.pid,
        "start_ticks": process.start_ticks,
        "boot_id": process.boot_id,
        "acquired_at": chat.since,
    }
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that left the queue, and what it got."""

    run_id: RunId
    devices: tuple[str, ...]
    port: int  # for the processes of the run to meet at; no other active run has it


def claim_next(
    connection: Connection,
    devices: tuple[str, ...],
    pick_port: PickPort,
    now: float,
    only: Collection[str] | None = None,
) -> Claim | None:
    """Move the first queued run whose devices are free to `starting`.

    Args:
        connection: a writing one: the decision and the claim are one transaction.
        devices: every device of this machine, in the order in which they are given out.
        pick_port: returns a port that nobody listens on and that is not in the set it is given.
        now: seconds since the epoch.
        only: these runs; the others wait for devices that are not among `devices`. None means all.
    """
    taken = taken_devices(connection)
    waiting = connection.execute(
        select(runs.c.id, runs.c.spec_json).where(runs.c.state == "queued").order_by(runs.c.number)
    )
    for row in waiting.all():
        if only is not None and row.id not in only:
            continue
        knobs = readable_spec(row.spec_json).devices
        free = [device for device in devices if device not in taken]
        chosen = named_devices(knobs) or tuple(free[:1]) or (devices[:1] if knobs.shared else ())
        if chosen and (knobs.shared or all(device in free for device in chosen)):
            return _claim(connection, RunId(row.id), chosen, pick_port, now)
        taken |= set(named_devices(knobs) or devices)  # it waits for these, so nobody behind it may take them
    return None


def taken_devices(connection: Connection) -> set[str]:
    """The devices that nobody else may take unasked: those held, and those of active runs.

    In a new index somebody else may have listed a run whose lease is not there yet.
    """
    listed = connection.execute(select(runs.c.devices_json).where(runs.c.state.in_(ACTIVE))).scalars()
    return keepers_out(connection) | {device for devices in listed for device in json.loads(devices)}


def wanted_devices(connection: Connection, devices: tuple[str, ...]) -> set[str]:
    """Of `devices`, those that a queued run could start on."""
    waiting = connection.execute(select(runs.c.spec_json).where(runs.c.state == "queued")).scalars()
    return {device for spec in waiting for device in named_devices(readable_spec(spec).devices) or devices}


def named_devices(knobs: DeviceKnobs) -> tuple[str, ...]:
    """The GPUs that a run names, as devices; empty where any device will do."""
    return tuple(f"cuda:{index}" for index in knobs.gpus)


def _claim(connection: Connection, run_id: RunId, devices: tuple[str, ...], pick_port: PickPort, now: float) -> Claim:
    taken = set(
        connection.execute(select(runs.c.port).where(runs.c.state.in_(ACTIVE), runs.c.port.is_not(None))).scalars()
    )
    port = pick_port(taken)
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id)
        .values(state="starting", started_at=now, devices_json=json.dumps(devices), port=port)
    )
    hold(connection, run_id, devices, now)
    return Claim(run_id, devices, port)
