"""A program on a CPU computes with no more threads than there are cores that nobody else uses.

The threads of one parallel loop wait for each other by looking, for milliseconds at a time: the quickest way while each
has a core of its own. Where another program needs one of the cores, every loop waits until the kernel gives it back: a
training all but stands still. Programs that are told to sleep sooner (`GOMP_SPINCOUNT`) are left alone.
"""

import os
import threading
import time
from collections.abc import Callable
from functools import cache
from math import floor
from typing import NamedTuple

import psutil
import torch
from torch import nn

from backend.settings import sleeps_soon

LOOK_S = 0.5  # between two looks at what others use
CALM_S = 5.0  # so long others must have used less before a core is taken back
TOLERATED = 0.25  # of one core: pages that are looked at, the system's own work


class CpuUsage(NamedTuple):
    """CPU time so far, in seconds."""

    at: float  # of a clock that only goes forward
    all_processes: float  # on the cores that this process may use
    this_process: float  # of this process, its threads included


class FreeCores:
    """Knows how many threads may compute just now."""

    def __init__(self, most: int, cores: int) -> None:
        """Begin with all of them.

        Args:
            most: threads, as many as the program would take by itself.
            cores: that this process may use.
        """
        self.threads = most
        self._most, self._cores = most, cores
        self._crowded_at = float("-inf")

    def learn(self, before: CpuUsage, now: CpuUsage) -> None:
        """Make room at once for what others used between two looks; take it back once they have long used less."""
        all_s, own_s = now.all_processes - before.all_processes, now.this_process - before.this_process
        others = (all_s - own_s) / (now.at - before.at)
        allowed = max(1, min(self._most, floor(self._cores - others + TOLERATED)))
        if allowed <= self.threads:
            self.threads = allowed
            self._crowded_at = now.at if allowed < self._most else self._crowded_at
        elif now.at - self._crowded_at >= CALM_S:
            self.threads = allowed

    def watch(self, look: Callable[[], CpuUsage]) -> None:
        """Learn for ever."""
        before = look()
        while True:
            time.sleep(LOOK_S)
            now = look()
            self.learn(before, now)
            before = now


def share_cores(model: nn.Module) -> None:
    """Let a loaded Qwen2.5-VL compute with as many threads as there is room for, from each pass to the next."""
    if torch.cuda.is_available() or sleeps_soon() or torch.get_num_threads() == 1:
        return
    free = _watched()

    def take_what_is_free(_module: nn.Module, _inputs: object) -> None:
        if torch.get_num_threads() != free.threads:
            torch.set_num_threads(free.threads)

    for part in (model.model.visual, model.model.language_model):
        part.register_forward_pre_hook(take_what_is_free)


def usage() -> CpuUsage:
    """What has been used until now."""
    times = psutil.cpu_times(percpu=True)
    allowed_cores = [times[core] for core in os.sched_getaffinity(0) if core < len(times)]
    all_processes = sum(each.user + each.nice + each.system + each.irq + each.softirq for each in allowed_cores)
    return CpuUsage(time.monotonic(), all_processes, time.process_time())


@cache
def _watched() -> FreeCores:
    free = FreeCores(torch.get_num_threads(), len(os.sched_getaffinity(0)))
    threading.Thread(target=free.watch, args=(usage,), name="free-cores", daemon=True).start()
    return free
