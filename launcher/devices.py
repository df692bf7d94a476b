"""Which devices this machine has, found without loading torch."""

import os
from dataclasses import dataclass

import psutil

from launcher.processes import output_of

CPU = "cpu:0"
QUERY = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
QUERY_TIMEOUT_S = 15.0  # a driver that sleeps takes seconds to wake


@dataclass(frozen=True, slots=True)
class Device:
    """Something that one run at a time may hold."""

    name: str  # cuda:<index in PCI order>, or cpu:0
    label: str  # as its maker calls it
    memory_bytes: int


def find_devices(environment: dict[str, str]) -> tuple[Device, ...]:
    """List the GPUs that `environment` leaves visible, in PCI order; without any, the CPU as one device."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    gpus = _read_gpus(output_of(QUERY, timeout_s=QUERY_TIMEOUT_S), visible) if visible not in ("", "-1") else ()
    return gpus or (Device(CPU, f"{_cores()} CPU cores", psutil.virtual_memory().total),)


def describe(devices: tuple[Device, ...]) -> str:
    """Say what the machine has in a few words: `2 CPU cores · 24 GB`, `4 x NVIDIA H100 80 GB`."""
    said = []
    for label, memory_bytes in dict.fromkeys((device.label, device.memory_bytes) for device in devices):
        count = sum((device.label, device.memory_bytes) == (label, memory_bytes) for device in devices)
        times = f"{count} x " if count > 1 else ""
        said.append(f"{times}{label} · {memory_bytes / 1e9:.0f} GB")
    return ", ".join(said)


def _read_gpus(listing: str, visible: str | None) -> tuple[Device, ...]:
    wanted = None if visible is None else {part.strip() for part in visible.split(",")}
    found = []
    for line in listing.splitlines():
        fields = [part.strip() for part in line.split(",")]
        if len(fields) != 4 or not fields[0].isdecimal():
            continue
        index, uuid, label, memory_mib = fields
        is_visible = (
            wanted is None or index in wanted or any(len(part) > 7 and uuid.startswith(part) for part in wanted)
        )
        if is_visible:
            memory_bytes = int(memory_mib) << 20 if memory_mib.isdecimal() else psutil.virtual_memory().total
            found.append(Device(f"cuda:{index}", label, memory_bytes))
    return tuple(found)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
