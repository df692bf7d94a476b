"""A program on a CPU leaves cores to others that need them, and takes them back."""

import os
import subprocess
import sys
import time

import pytest

from backend.programs.model.cpu_threads import CALM_S, CpuUsage, FreeCores, usage
from backend.settings import ROOT

pytestmark = pytest.mark.torch

BUSY = "import os; os.sched_setaffinity(0, {cores})\nwhile True: pass"
MAKES_ROOM = """
import os, time
os.sched_setaffinity(0, {cores})
import torch
from backend.programs.model.loading import Precision, load_base
from backend.settings import DEMO_MODEL
torch.set_num_threads(2)
model = load_base(DEMO_MODEL, Precision(torch.float32, ""))
os.environ["GOMP_SPINCOUNT"] = "1000"
left_alone = load_base(DEMO_MODEL, Precision(torch.float32, ""))
print("loaded", flush=True)
until = time.monotonic() + 240
while torch.get_num_threads() > 1 and time.monotonic() < until:
    model.model.language_model(input_ids=torch.tensor([[1, 2, 3]]))
shared = torch.get_num_threads()
torch.set_num_threads(2)
left_alone.model.language_model(input_ids=torch.tensor([[1, 2, 3]]))
print(shared, torch.get_num_threads())
"""


def told(free: FreeCores, *others: float, since: float = 0.0) -> list[int]:
    """The threads after each second in which others used so many cores."""
    seen = []
    for second, cores in enumerate(others):
        before = CpuUsage(since + second, 0.0, 0.0)
        free.learn(before, CpuUsage(since + second + 1, cores + 1.5, 1.5))
        seen.append(free.threads)
    return seen


def test_room_is_made_at_once_and_taken_back_when_it_has_long_been_calm() -> None:
    free, calm = FreeCores(2, cores=2), [0.0] * int(CALM_S)

    assert told(free, 0.0, 0.2, 0.3, 0.9) == [2, 2, 1, 1]
    assert told(free, *calm, since=4.0) == [1, 1, 1, 1, 2]
    assert told(free, 2.0, *calm[:3], 0.5, *calm, since=10.0) == [1] * 9 + [2]


def test_of_many_cores_only_those_that_others_use_are_left() -> None:
    free = FreeCores(8, cores=16)

    assert told(free, 7.0, 8.2, 9.0, 12.0, 40.0) == [8, 8, 7, 4, 1]
    assert told(free, *[10.0] * int(CALM_S + 1), since=5.0)[-1] == 6


def test_what_others_use_is_told_from_what_this_process_uses() -> None:
    busy = subprocess.Popen([sys.executable, "-c", BUSY.format(cores=os.sched_getaffinity(0))])
    try:
        before = usage()
        until = time.process_time() + 0.5
        while time.process_time() < until:
            pass
        time.sleep(0.5)
        now = usage()
    finally:
        busy.kill()
        busy.wait()

    assert 0.45 < now.this_process - before.this_process < 0.9
    assert now.all_processes - before.all_processes - (now.this_process - before.this_process) > 0.2


@pytest.mark.long
def test_a_loaded_model_computes_on_fewer_threads_beside_a_busy_program_unless_its_threads_sleep_soon() -> None:
    cores = set(sorted(os.sched_getaffinity(0))[:2])
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    program = subprocess.Popen([sys.executable, "-c", MAKES_ROOM.format(cores=cores)], text=True,
                               env=environment | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)  # fmt: skip
    assert program.stdout is not None
    assert program.stdout.readline() == "loaded\n"
    busy = [subprocess.Popen([sys.executable, "-c", BUSY.format(cores=cores)]) for _ in cores]
    try:
        threads, _ = program.communicate()
    finally:
        for each in busy:
            each.kill()
            each.wait()

    assert threads == "1 2\n"
