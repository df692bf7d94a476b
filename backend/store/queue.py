"""Who runs next, and on which devices: first come, first served, and never two runs on one device.

A run takes all devices it needs in the transaction that starts it, or none; it gives them back only when the launcher
has seen that no process of it is left. A run may pass an earlier one only on devices that nobody earlier waits for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects.sqlite import insert

from backend.ids import RunId
from backend.runs.records import ACTIVE
from backend.store.tables import leases, runs
from backend.store.views import readable_spec

PickPort = Callable[[set[int]], int]


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that left the queue, and what it got."""

    run_id: RunId
    devices: tuple[str, ...]
    port: int  # for the processes of the run to meet at; no other active run has it


def claim_next(connection: Connection, devices: tuple[str, ...], pick_port: PickPort, now: float) -> Claim | None:
    """Move the first queued run whose devices are free to `starting`.

    Args:
        connection: a writing one: the decision and the claim are one transaction.
        devices: every device of this machine, in the order in which they are given out.
        pick_port: returns a port that nobody listens on and that is not in the set it is given.
        now: seconds since the epoch.
    """
    held = set(connection.execute(select(leases.c.device)).scalars()) | _at_work(connection)
    waiting = connection.execute(
        select(runs.c.id, runs.c.spec_json).where(runs.c.state == "queued").order_by(runs.c.number)
    )
    for row in waiting.all():
        named = _named_devices(row.spec_json)
        free = [device for device in devices if device not in held]
        wanted = named or tuple(free[:1])
        if wanted and all(device in free for device in wanted):
            return _claim(connection, RunId(row.id), wanted, pick_port, now)
        held |= set(named or devices)  # it waits for these, so nobody behind it may take them
    return None


def hold(connection: Connection, run_id: RunId, devices: tuple[str, ...], now: float) -> None:
    """Write down that `run_id` holds `devices`; a device that is held already stays with its holder."""
    rows = [{"device": device, "run_id": run_id, "acquired_at": now} for device in devices]
    if rows:
        connection.execute(insert(leases).on_conflict_do_nothing(), rows)


def release(connection: Connection, run_id: RunId) -> None:
    """Give back whatever `run_id` holds."""
    connection.execute(delete(leases).where(leases.c.run_id == run_id))


def holders(connection: Connection) -> dict[str, RunId]:
    """Which run holds each device that is held."""
    return {row.device: RunId(row.run_id) for row in connection.execute(select(leases.c.device, leases.c.run_id))}


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


def _at_work(connection: Connection) -> set[str]:
    """The devices of active runs. In a new index somebody else may have listed a run whose lease is not there yet."""
    listed = connection.execute(select(runs.c.devices_json).where(runs.c.state.in_(ACTIVE))).scalars()
    return {device for devices in listed for device in json.loads(devices)}


def _named_devices(spec_json: str) -> tuple[str, ...]:
    """The GPUs that a spec names, as devices; empty where any device will do."""
    return tuple(f"cuda:{index}" for index in readable_spec(spec_json).devices.gpus)
