"""Where a chat's model may sit: a GPU that no run holds, or beside runs on the CPU.

Runs go before chats: a model that nobody is talking to gives its GPU up as soon as a run waits for it.
"""

import itertools
import os
import time
from dataclasses import dataclass, field

from backend.errors import LaunchError
from backend.store.leases import Holder, Lease
from backend.store.runs import RunStore
from launcher.devices import CPU
from launcher.processes import Identity, identify

_NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Seat:
    """A device that a chat holds."""

    holder: str
    device: str
    environment: dict[str, str] = field(default_factory=dict)  # so that the program sees this device only


def take_seat(runs: RunStore, devices: tuple[str, ...], label: str, *, beside_runs: bool) -> Seat:
    """Hold the first device that is free; on a CPU there is always room, and no run waits for a chat.

    Args:
        runs: the index that knows who holds what.
        devices: of this machine, in the order in which they are given out.
        label: what is talked to.
        beside_runs: take the first GPU all the same where every one is held.

    Raises:
        LaunchError: every GPU is held, and it says by whom; or none is known just now.
    """
    if not devices:
        raise LaunchError("The GPU driver does not answer", hint="Ask again in a minute; `nvidia-smi` tells more")
    holder = f"chat-{os.getpid()}-{next(_NUMBERS)}"
    starter = identify(os.getpid()) or Identity(os.getpid(), 0, "")
    for asks in (False, True) if beside_runs else (False,):
        for device in devices:
            wish = Lease(device, holder, None, label, device != CPU, Holder(*starter), time.time())
            if runs.hold_for_chat(wish, devices, beside_runs=asks):
                return Seat(holder, device, _visible(device))
    held = [f"{lease.device} by {lease.said}" for lease in runs.leases() if lease.keeps_out]
    raise LaunchError(
        f"Every GPU is held: {', '.join(held)}" if held else "A run waits for every GPU that is free",
        hint="Wait for its end, stop it, or let the model answer beside it (memory may not suffice for both)",
    )


def _visible(device: str) -> dict[str, str]:
    if device == CPU:
        return {}
    return {"CUDA_VISIBLE_DEVICES": device.removeprefix("cuda:"), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
