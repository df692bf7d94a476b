"""What a reward and all it starts may use together, on this host and on poorer ones."""

import tempfile
from pathlib import Path

import psutil
import pytest
from reward_lab import QUICK, batch, poorer_host, process_of, worker

from backend.rewards.contract import Scores
from backend.rewards.sandbox.client import RewardWorker
from backend.rewards.sandbox.namespaces import MAX_FOLDER_BYTES, MAX_FOLDER_FILES
from backend.rewards.sandbox.supervisor import MAX_TASKS

MIB = 1 << 20
HOSTS = {"this host": (), "without namespaces": ("namespaces",), "without mounts": ("mounts",)}
FULL = ("(the folder of a reward holds no more)",
        f"The worker's folder holds more than {MAX_FOLDER_BYTES // MIB} MiB")  # fmt: skip
TOO_MANY = (FULL[0], f"The worker's folder holds more than {MAX_FOLDER_FILES:,} files")
TOO_BUSY = (f"The worker and what it started are more than {MAX_TASKS} processes and threads",
            "Resource temporarily unavailable", "can't start new thread")  # fmt: skip
SOURCE = """import mmap, os, subprocess, tempfile, threading, time
count, kept = 0, []

def filled(name, mib, hold=False):
    with open(name, "wb") as sink:
        for _ in range(mib):
            sink.write(bytes(1 << 20))

def fork(act):
    if os.fork() == 0:
        act()
        time.sleep(600)
        os._exit(0)

def reward(completions: list[str], **columns):
    global count
    count += 1
    exec(completions[0], globals())
    return [1.0]
"""


@pytest.fixture(params=HOSTS.values(), ids=HOSTS)
def host(request, tmp_path) -> RewardWorker:
    limits = QUICK._replace(seconds=60.0, memory_bytes=1 << 30)
    with worker(SOURCE, limits, program=poorer_host(tmp_path, *request.param)) as started:
        yield started


def ended(scores: Scores, reasons: tuple[str, ...]) -> bool:
    return scores.failure is not None and any(reason in scores.failure.message for reason in reasons)


def on_disk() -> int:
    return sum(path.stat().st_blocks * 512 for path in Path(tempfile.gettempdir()).rglob("*") if path.is_file())


def test_r20_many_files_are_bounded_as_one(host):
    scores = host.score(batch("for n in range(20): filled(f'{n}', 60)\ntime.sleep(50)"))

    assert ended(scores, FULL), scores
    assert host.score(batch("pass")).values == (1.0,)
    host.close()
    assert on_disk() == 0


def test_r20_files_that_were_removed_and_are_still_open_count(host):
    code = (
        "for n in range(20):\n    kept.append(tempfile.TemporaryFile(dir='.'))\n"
        "    for _ in range(60): kept[-1].write(bytes(1 << 20))\n    kept[-1].flush()\ntime.sleep(50)"
    )

    assert ended(host.score(batch(code)), FULL)


def test_r20_tiny_files_are_bounded_in_number(host):
    assert ended(host.score(batch("for n in range(40_000): open(f'{n}', 'w').close()\ntime.sleep(50)")), TOO_MANY)


def test_r20_a_file_for_each_of_a_thousand_batches_ends_with_the_reason(host):
    for _number in range(1000):
        scores = host.score(batch("filled(f'{count}', 1)"))
        if scores.failure is not None:
            break

    assert ended(scores, FULL)
    assert on_disk() <= MAX_FOLDER_BYTES + 64 * MIB


def test_r20_small_files_for_each_of_a_thousand_batches_do_no_harm(host):
    for _ in range(1000):
        scores = host.score(batch("open(f'{count}', 'w').write('seen')"))

    assert (scores.failure, scores.values) == (None, (1.0,))


def test_r20_children_are_bounded_in_memory_as_one_process(host):
    code = "for _ in range(8): fork(lambda: kept.append(bytearray(os.urandom(1 << 20) * 200)))\ntime.sleep(50)"

    scores = host.score(batch(code))

    assert ended(scores, ("The worker and what it started use more than 1,024 MiB of memory",)), scores
    assert host.score(batch("pass")).values == (1.0,)


def test_r20_what_grows_between_batches_is_ended_too(host):
    code = "for _ in range(8): fork(lambda: [time.sleep(0.5), kept.append(bytearray(os.urandom(1 << 20) * 200))])"
    assert host.score(batch(code)).failure is None
    process = psutil.Process(host._process._process.pid)

    process.wait(60)

    assert ended(host.score(batch("pass")), ("use more than 1,024 MiB of memory",))


def test_r20_memory_that_children_share_counts_once(host):
    code = "kept.append(os.urandom(400 << 20))\nfor _ in range(6): fork(lambda: sum(kept[0][::4096]))\ntime.sleep(2)"

    scores = host.score(batch(code))

    assert (scores.failure, scores.values) == (None, (1.0,))


@pytest.mark.parametrize(
    "kind", ["fork(lambda: None)", "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()"]
)
def test_r20_processes_and_threads_are_bounded_in_number(host, kind):
    scores = host.score(batch(f"for _ in range(400): {kind}\ntime.sleep(50)"))

    assert ended(scores, TOO_BUSY), scores


def test_r20_the_kernel_ends_a_worker_before_a_training(host):
    assert host.score(batch("pass")).failure is None

    score = Path("/proc", str(process_of(host).pid), "oom_score_adj").read_text()

    assert int(score) == 1000
