"""Who runs next, and on which devices: first come, first served, and never two runs on one device unasked.

A run takes all devices it needs in the transaction that starts it, or none; it gives them back only when the launcher
has seen that no process of it is left. A run may pass an earlier one only on devices that nobody earlier waits for, or
where it asked to share: then it starts beside whatever is there. Others that did not ask wait for its end as for any.
"""

import json
from collections.abc import Callable, Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from backend.ids import RunId
from backend.runs.records import ACTIVE
from backend.spec.machine import DeviceKnobs
from backend.store.leases import hold, keepers_out
from backend.store.tables import runs
from backend.store.views import readable_spec

PickPort = Callable[[set[int]], int]


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
    held = held_devices(connection)
    waiting = connection.execute(
        select(runs.c.id, runs.c.spec_json).where(runs.c.state == "queued").order_by(runs.c.number)
    )
    for row in waiting.all():
        if only is not None and row.id not in only:
            continue
        knobs = readable_spec(row.spec_json).devices
        free = [device for device in devices if device not in held]
        wanted = named_devices(knobs) or tuple(free[:1]) or (devices[:1] if knobs.shared else ())
        if wanted and (knobs.shared or all(device in free for device in wanted)):
            return _claim(connection, RunId(row.id), wanted, pick_port, now)
        held |= set(named_devices(knobs) or devices)  # it waits for these, so nobody behind it may take them
    return None


def held_devices(connection: Connection) -> set[str]:
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
