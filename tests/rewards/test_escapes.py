"""What a reward does against the machine it runs on: each way is tried for real, on this host and on poorer ones."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from escape_lab import FILES, KERNEL, PROCESSES, SURVIVORS, Outside, escaping, outside
from reward_lab import QUICK, batch, poorer_host, process_of, running, supervisor_of, worker

from backend.rewards.sandbox.client import WORKER, RewardWorker
from backend.rewards.sandbox.seccomp import METADATA, REFUSED
from backend.settings import ROOT

HOSTS = {"this host": (), "without namespaces": ("namespaces",), "without mounts": ("mounts",)}
MARK = f"293.{os.getpid()}"  # of this run alone
# Here again, so that none of them goes missing unseen.
REFUSED_NAMES = (
    "add_key bpf chroot connect fanotify_init fsconfig fsmount fsopen fspick io_uring_enter io_uring_register "
    "io_uring_setup kcmp keyctl memfd_create memfd_secret migrate_pages mount mount_setattr move_mount move_pages "
    "mq_open msgget open_by_handle_at open_tree open_tree_attr perf_event_open pidfd_getfd pivot_root "
    "process_madvise process_mrelease process_vm_readv process_vm_writev ptrace request_key semget setns shmget "
    "socket syslog umount2 unshare userfaultfd"
)
METADATA_NAMES = (
    "chmod chown fchmod fchmodat fchmodat2 fchown fchownat file_setattr fremovexattr fsetxattr futimesat lchown "
    "lremovexattr lsetxattr removexattr removexattrat setxattr setxattrat utime utimensat utimes"
)
IDLE = f"""
import importlib.util, time
spec = importlib.util.spec_from_file_location("namespaces", {str(WORKER.with_name("namespaces.py"))!r})
namespaces = importlib.util.module_from_spec(spec)
spec.loader.exec_module(namespaces)
namespaces.drop_privileges()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="module")
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the same user that does nothing and may do no more than a worker, so that its likes may touch it."""
    with subprocess.Popen((sys.executable, "-c", IDLE), stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        yield process
        process.kill()


@pytest.fixture(scope="module", params=HOSTS.values(), ids=HOSTS)
def host(request, victim, tmp_path_factory) -> Iterator[tuple[RewardWorker, Outside]]:
    """A worker that does what it is told, on each kind of host, and what lies outside."""
    folder = tmp_path_factory.mktemp("host")
    program = poorer_host(folder, *request.param)
    with outside(folder / "outside") as there:
        limits = QUICK._replace(readable=(there.folder,))
        with worker(escaping(there, victim.pid, MARK), limits, program=program) as started:
            assert started.isolation  # so that it is started here, and not in the folder of the first test
            yield started, there


def refused(started: RewardWorker, code: str) -> str:
    """Why it was refused. Whatever else happens fails the test."""
    scores = started.score(batch(code))
    assert scores.failure is None, (code, scores.failure)
    return scores.columns["refused"][0]


def state_of(process: psutil.Process) -> list[object]:
    """What another process could change of it."""
    kinds = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
    limits = [resource.prlimit(process.pid, kind) for kind in kinds]
    return [limits, process.nice(), process.cpu_affinity(), process.ionice(), os.sched_getscheduler(process.pid)]


@pytest.mark.parametrize("name", PROCESSES)
def test_r17_other_processes_are_out_of_reach(host, victim, name):
    started, _ = host
    others = [psutil.Process(), psutil.Process(victim.pid), supervisor_of(started)]
    before = [state_of(each) for each in others]

    assert refused(started, PROCESSES[name])

    assert [state_of(each) for each in others] == before


def test_r17_a_reward_may_change_what_is_its_own(host):
    started, _ = host

    for code in (
        "os.nice(1)", "os.sched_setaffinity(0, os.sched_getaffinity(0))", "os.setpriority(os.PRIO_PROCESS, 0, 2)",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))", "os.sched_setscheduler(0, 0, os.sched_param(0))",
        "os.kill(os.getpid(), 0)", "import threading\nthread = threading.Thread()\nthread.start()\nthread.join()",
    ):  # fmt: skip
        assert not refused(started, code), code


def test_r17_a_worker_has_no_privileges(host):
    """Root of a namespace could undo its walls, root of a host anything; reading what another user owns is kept."""
    started, _ = host
    assert not refused(started, "pass")
    told = Path(f"/proc/{process_of(started).pid}/status").read_text()
    held = {line.split(":")[0]: int(line.split()[1], 16) for line in told.splitlines() if line.startswith("Cap")}

    assert {name: held[name] & ~4 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")} == dict.fromkeys(
        ("CapEff", "CapPrm", "CapInh", "CapAmb"), 0
    )
    assert not held["CapBnd"] & ~4 or os.getuid()  # what it executes; as a user there is nothing that could be gained


@pytest.mark.parametrize("name", KERNEL)
def test_r18_neither_sockets_nor_rings_nor_other_doors_of_the_kernel_open(host, name):
    started, there = host

    why = refused(started, KERNEL[name])

    assert why.startswith("OSError(38" if "clone3" in KERNEL[name] else "PermissionError(1"), why
    assert there.is_untouched


def test_r18_every_call_of_the_table_is_refused_whatever_its_arguments(host):
    started, _ = host
    names = REFUSED_NAMES.split()

    refusals = {name: refused(started, f"call({name!r}, 0, 0, 0, 0, 0, 0)") for name in names}

    assert sorted(REFUSED) == names
    assert [name for name, why in refusals.items() if not why.startswith("PermissionError(1,")] == []


def test_r19_every_change_of_metadata_is_refused_where_files_outside_are_not_read_only(tmp_path):
    names = METADATA_NAMES.split()
    known = [name for name in names if METADATA[name][os.uname().machine == "aarch64"] is not None]
    program = poorer_host(tmp_path, "mounts")
    with outside(tmp_path / "outside") as there, worker(escaping(there, 1), program=program) as started:
        refusals = {name: refused(started, f"call({name!r}, 0, 0, 0, 0, 0, 0)") for name in known}

    assert sorted(METADATA) == names
    assert [name for name, why in refusals.items() if not why.startswith("PermissionError(1,")] == []


@pytest.mark.parametrize("name", FILES)
def test_r19_nothing_of_a_file_outside_changes(host, name):
    started, there = host

    assert refused(started, FILES[name])

    assert there.is_untouched


@pytest.mark.parametrize("name", SURVIVORS)
def test_r16_nothing_outlives_a_worker(host, name):
    started, _ = host
    assert not refused(started, SURVIVORS[name])
    wait_for(lambda: len(running("sleep", MARK)) == 1)

    started.close()

    assert running("sleep", MARK) == []


@pytest.mark.needs("namespaces")
def test_r16_nothing_outlives_a_worker_whose_supervisor_is_killed(tmp_path):
    with outside(tmp_path / "outside") as there, worker(escaping(there, 1, MARK)) as started:
        assert not refused(started, SURVIVORS["in a session of its own"])
        wait_for(lambda: len(running("sleep", MARK)) == 1)

        supervisor_of(started).kill()

        wait_for(lambda: not running("sleep", MARK))


@pytest.mark.parametrize(
    ("lacking", "code"),
    [
        (("namespaces",), "subprocess.Popen(['setsid', 'sleep', MARK])"),  # found by its environment
        (("processes of its own",), "leave()"),  # which it has none of: by its network
    ],
)
def test_r16_what_a_killed_supervisor_left_is_swept_by_who_started_it(tmp_path, lacking, code):
    with outside(tmp_path / "outside") as there:
        program = poorer_host(tmp_path, *lacking)
        with worker(escaping(there, 1, MARK), program=program) as started:
            assert not refused(started, code)
            wait_for(lambda: len(running("sleep", MARK)) == 1)
            supervisor_of(started).kill()

    assert running("sleep", MARK) == []


def test_r16_a_supervisor_that_was_stopped_is_ended_as_well(tmp_path):
    with outside(tmp_path / "outside") as there, worker(escaping(there, 1, MARK)) as started:
        assert not refused(started, "subprocess.Popen(['sleep', MARK])")
        supervisor = supervisor_of(started)
        supervisor.suspend()

    assert not supervisor.is_running()
    assert running("sleep", MARK) == []


# A program that uses a worker as a training does, and is killed in the middle of a batch.
TRAINER = """
import sys
sys.path.insert(0, "tests/rewards")
from reward_lab import batch, worker
started = worker({text!r})
started.isolation
print(started._process.folder, started._process._process.pid, flush=True)
started.score(batch("a"))
"""


@pytest.mark.parametrize("is_supervisor_first", [False, True])
def test_r16_nothing_outlives_a_trainer_that_is_killed(tmp_path, is_supervisor_first):
    with outside(tmp_path / "outside") as there:
        hanging = escaping(there, 1, MARK).replace("    log_extra(", "    leave()\n    time.sleep(600)\n    log_extra(")
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
        program = (sys.executable, "-c", TRAINER.format(text=hanging))
        with subprocess.Popen(program, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as trainer:
            folder, pid = trainer.stdout.readline().split()
            family = [psutil.Process(int(pid)), *psutil.Process(int(pid)).children(recursive=True)]
            wait_for(lambda: running("sleep", MARK))
            if is_supervisor_first:
                family[0].kill()
            trainer.kill()

    wait_for(lambda: not running("sleep", MARK) and not any(each.is_running() for each in family))
    if not is_supervisor_first:
        wait_for(lambda: not Path(folder).exists())
    else:
        Path(folder).rmdir()  # nobody was left to do it


def wait_for(happens, seconds: float = 30.0) -> None:
    """A busy machine is slow, so this is generous; what it waits for happens at once or never."""
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)
