"""Which devices this machine has, found without loading torch.

A driver that sleeps, hangs or is being updated does not answer. That is no machine without GPUs: what waits for one
must neither be ended nor be started on the CPU. So nothing at all is known then, and a later look asks again.
"""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from backend.settings import child_environment
from launcher.processes import run_briefly

CPU = "cpu:0"
VISIBLE = "CUDA_VISIBLE_DEVICES"
QUERY = ("nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits")
QUERY_TIMEOUT_S = 15.0  # a driver that sleeps takes seconds to wake
RETRY_S = 10.0  # after a driver that did not answer; pages must not wait for it at every look
DRIVER_LIST = Path("/proc/driver/nvidia/gpus")  # the kernel module's own, a folder for each GPU
_NO_GPU = (0, 6, 9, 12)  # of nvidia-smi, without a GPU listed: none found, no driver loaded, no library of the driver
_HIDE_ALL = ("", "-1")


@dataclass(frozen=True, slots=True)
class Device:
    """Something that one run at a time may hold."""

    name: str  # cuda:<index in PCI order>, or cpu:0
    label: str  # as its maker calls it
    memory_bytes: int
    uuid: str = ""  # of a GPU, by which it may be named too


class Machine:
    """What there is to run on. Asked once; as long as the driver does not answer, again after a pause."""

    def __init__(self, devices: tuple[Device, ...] | None = None) -> None:
        """Ask nothing yet. Where `devices` are given, they are all there is."""
        self._is_fixed, self._present = bool(devices), devices or ()
        self._queried_at = float("-inf")
        self._query_lock = threading.Lock()

    @property
    def present(self) -> tuple[Device, ...]:
        """All that the machine has, also what is hidden from this process; nothing while that is not known."""
        with self._query_lock:
            if not self._present and time.monotonic() - self._queried_at > RETRY_S:
                self._present = find_devices({})
                self._queried_at = time.monotonic()
            return self._present

    @property
    def visible(self) -> tuple[Device, ...]:
        """What this process may see of it; the CPU where every GPU is hidden."""
        if self._is_fixed:
            return self._present
        named = child_environment().get(VISIBLE)
        return (_cpu(),) if named in _HIDE_ALL else _visible_among(self.present, named)

    @property
    def hides_gpus(self) -> bool:
        """Whether this process sees only the CPU although there are GPUs, or it is not known that there are none."""
        return [device.name for device in self.visible] == [CPU] != [device.name for device in self.present]


def find_devices(environment: dict[str, str]) -> tuple[Device, ...]:
    """List the GPUs that `environment` leaves visible, in PCI order; without any, the CPU as one device.

    Returns:
        The devices; none where the driver does not answer, so that there may or may not be GPUs.
    """
    named = environment.get(VISIBLE)
    if named in _HIDE_ALL:
        return (_cpu(),)
    output = run_briefly(QUERY, timeout_s=QUERY_TIMEOUT_S)
    gpus = _read_gpus(output.stdout) if output is not None and output.code == 0 else ()
    if gpus:
        return _visible_among(gpus, named)
    is_without = output is None or (output.code in _NO_GPU and not _driver_has_gpus())
    return (_cpu(),) if is_without else ()


def describe(devices: tuple[Device, ...]) -> str:
    """Say what the machine has in a few words: `2 CPU cores · 24 GB`, `4 x NVIDIA H100 80 GB`."""
    if not devices:
        return "the GPU driver does not answer"
    labels = []
    for label, memory_bytes in dict.fromkeys((device.label, device.memory_bytes) for device in devices):
        count = sum((device.label, device.memory_bytes) == (label, memory_bytes) for device in devices)
        times = f"{count} x " if count > 1 else ""
        labels.append(f"{times}{label} · {memory_bytes / 1e9:.0f} GB")
    return ", ".join(labels)


def _read_gpus(listing: str) -> tuple[Device, ...]:
    gpus = []
    for line in listing.splitlines():
        fields = [part.strip() for part in line.split(",")]
        if len(fields) != 4 or not fields[0].isdecimal():
            continue
        index, uuid, label, memory_mib = fields
        memory_bytes = int(memory_mib) << 20 if memory_mib.isdecimal() else psutil.virtual_memory().total
        gpus.append(Device(f"cuda:{index}", label, memory_bytes, uuid))
    return tuple(gpus)


def _visible_among(devices: tuple[Device, ...], named: str | None) -> tuple[Device, ...]:
    """Those that CUDA_VISIBLE_DEVICES names, by index or by the beginning of a UUID; the CPU where it names none."""
    if named is None or not devices:
        return devices
    identifiers = {part.strip() for part in named.split(",")}
    visible = tuple(
        device
        for device in devices
        if device.name.removeprefix("cuda:") in identifiers
        or any(len(part) > 7 and device.uuid.startswith(part) for part in identifiers)
    )
    return visible or (_cpu(),)


def _driver_has_gpus() -> bool:
    try:
        return any(DRIVER_LIST.iterdir())
    except OSError:
        return False


def _cpu() -> Device:
    return Device(CPU, f"{len(os.sched_getaffinity(0))} CPU cores", psutil.virtual_memory().total)
