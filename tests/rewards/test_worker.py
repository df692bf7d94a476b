import ctypes
import os
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from reward_lab import QUICK, batch, poorer_host, process_of, returning, running, scored, source, worker

from backend.errors import LaunchError, SpecError
from backend.rewards.contract import FULL_ISOLATION_LEVEL, Isolation
from backend.rewards.sandbox import client
from backend.rewards.sandbox.client import SECURITY_STATEMENT, RewardWorker, WorkerLimits, describe_isolation
from backend.rewards.sandbox.process import MAX_PRINTED_BYTES
from backend.rewards.sandbox.rlimits import MAX_FILE_BYTES, MAX_PROCESSES

LONG = f"297.{os.getpid()}"  # seconds of a sleep that is of this run alone
# A reward that misbehaves for the answer "bad" and is right for all others.
MISBEHAVES = "import os, sys, signal, subprocess, time\ndef reward(completions: list[str], **kwargs):\n    if 'bad' in completions:\n{}    return [len(c) for c in completions]\n"  # noqa: E501


def misbehaving(code: str) -> str:
    return MISBEHAVES.format("".join(f"        {line}\n" for line in code.splitlines()))


def after(code: str, limits: WorkerLimits = QUICK):
    """Score a batch in which this code runs; the next one must be scored right."""
    with worker(misbehaving(code), limits) as started:
        scores = started.score(batch("bad", "b"))
        assert started.score(batch("a", "bb")).values == (1.0, 2.0)
    return scores


@pytest.fixture(scope="module")
def isolation() -> Isolation:
    with worker(returning("[1.0, 2.0]")) as started:
        return started.isolation


def needs_network_wall(isolation: Isolation) -> None:
    if not isolation.network:
        pytest.skip("this kernel refuses user namespaces")


def needs_file_wall(isolation: Isolation) -> None:
    if not isolation.files:
        pytest.skip("this kernel has no Landlock")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("raise ValueError('no')", "error", "ValueError: no"),
        ("1 / 0", "error", "ZeroDivisionError: division by zero"),
        ("sys.exit()", "exit", "SystemExit"),
        ("sys.exit('why')", "exit", "SystemExit: why"),
        ("raise KeyboardInterrupt", "error", "KeyboardInterrupt"),
        ("f = lambda: f()\nf()", "error", "RecursionError: maximum recursion depth exceeded"),
        ("raise MemoryError", "error", "MemoryError"),
        (
            "class Odd(Exception):\n    def __str__(self): 1 / 0\nraise Odd",
            "error",
            "own_reward.reward.<locals>.Odd: <exception str() failed>",
        ),
        ("os._exit(0)", "died", "The worker ended with exit code 0"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "died", "The worker was killed by SIGSEGV"),
        ("import ctypes\nctypes.string_at(0)", "died", "The worker was killed by SIGSEGV"),
        ("os.abort()", "died", "The worker was killed by SIGABRT"),
        ("os.kill(os.getpid(), 40)", "died", "The worker was killed by signal 40"),
        (
            "os.kill(os.getpid(), signal.SIGKILL)",
            "died",
            "The worker was killed by SIGKILL, perhaps for want of memory",
        ),
        ("os.closerange(3, 5000)", "died", "The worker ended with exit code 1"),
    ],
)
def test_r3_whatever_a_reward_does_becomes_a_failure_and_the_next_batch_is_scored(code, kind, message):
    scores = after(code)

    assert scores.failure
    assert (scores.failure.kind, scores.failure.message) == (kind, message)
    assert (scores.values, scores.error_count) == ((None, None), 2)


def test_r3_a_failure_shows_the_persons_own_frames_and_their_last_line():
    text = (
        "import json\ndef inner(text):\n    return json.loads(text)\n"
        "def reward(completions, **kwargs):\n    return inner('{')\n"
    )

    failure = scored(text).failure

    assert failure
    assert failure.line == 3
    assert failure.traceback == (
        "  File \"<reward:mine>\", line 5, in reward\n    return inner('{')\n           ^^^^^^^^^^\n"
        '  File "<reward:mine>", line 3, in inner\n    return json.loads(text)\n           ^^^^^^^^^^^^^^^^\n'
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)\n"
    )


@pytest.mark.parametrize(
    ("text", "kind", "line"),
    [
        ("x = 1\nreturn", "error", 2),
        ("x = 1\n1 / 0\n", "error", 2),
        ("def reward(:\n", "error", 1),
        ("import sys\nsys.exit(3)\n", "exit", 2),
        ("import ctypes\nx = 1\nctypes.string_at(0)", "died", 3),
        ("x = '\ud800'", "error", None),
    ],
)
def test_r3_a_source_that_fails_while_it_loads_fails_each_batch(text, kind, line):
    with worker(text) as started:
        failures = [started.score(batch()).failure for _ in range(2)]

    assert [(failure.kind, failure.line) for failure in failures] == [(kind, line)] * 2


def test_r3_twenty_batches_complete_whatever_happens_in_every_second():
    wrongs = ("1 / 0", "sys.exit(1)", "os._exit(1)", "os.abort()", "raise MemoryError")
    code = "\n".join(f"if completions[1] == '{n}':\n    {wrong}" for n, wrong in enumerate(wrongs))

    with worker(misbehaving(code)) as started:
        scores = [started.score(batch("bad" if n % 2 else "good", str(n // 2 % 5))) for n in range(20)]

    assert [each.values for each in scores[::2]] == [(4.0, 1.0)] * 10
    assert all(each.failure and each.values == (None, None) for each in scores[1::2])


@pytest.mark.parametrize(
    "code",
    [
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3000)",
        "while True: print('x' * 1000)",
    ],
)
def test_r4_a_reward_that_never_ends_is_killed_from_outside(code):
    scores = after(code, WorkerLimits(seconds=0.5))

    assert scores.failure
    assert (scores.failure.kind, scores.failure.message) == ("timeout", "No answer within 0.5 s")
    assert scores.failure.line in (4, 5, 6)
    assert scores.failure.traceback == f'  File "<reward:mine>", line {scores.failure.line} in reward'


def test_r4_importing_has_a_deadline_too(monkeypatch):
    monkeypatch.setattr(client, "LOAD_S", 0.5)

    failure = scored("import time\ntime.sleep(300)", limits=WorkerLimits(seconds=0.5)).failure

    assert failure
    assert (failure.kind, failure.line) == ("timeout", 2)


@pytest.mark.parametrize(
    "command", ["['setsid', 'sleep', 'LONG']", "['env', '-i', 'setsid', 'sleep', 'LONG']",
                "['setsid', 'sh', '-c', 'setsid sleep LONG & sleep LONG']"],
)  # fmt: skip
def test_r5_what_a_reward_starts_ends_with_it(isolation, command):
    if "env" in command:
        needs_network_wall(isolation)  # without the mark it is known only by its network
    code = f"subprocess.Popen({command.replace('LONG', LONG)})\ntime.sleep(300)"

    assert after(code, WorkerLimits(seconds=0.5)).failure

    assert sleepers() == []


def test_r5_closing_ends_what_still_runs():
    with worker(misbehaving(f"subprocess.Popen(['setsid', 'sleep', '{LONG}'])")) as started:
        assert started.score(batch("bad")).values == (3.0,)
        begun = time.monotonic()
        while not sleepers() and time.monotonic() - begun < 20:
            time.sleep(0.05)
        assert len(sleepers()) == 1

    assert sleepers() == []


COUNTS = "count = 0\ndef reward(completions, **kwargs):\n    global count\n    count += 1\n    return [count]"


def test_r5_one_workers_end_is_no_others():
    with worker(COUNTS) as one, worker(COUNTS) as other:
        assert one.score(batch("a")).values == other.score(batch("a")).values == (1.0,)
        process_of(one).kill()
        time.sleep(0.2)
        with worker(COUNTS) as late:  # made while the first is dead and not yet cleared away
            assert late.score(batch("a")).values == (1.0,)
            one.close()

            assert other.score(batch("a")).values == (2.0,)
            assert late.score(batch("a")).values == (2.0,)


def sleepers() -> list[psutil.Process]:
    return running("sleep", LONG)


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit()", "pass"])
def test_r5_children_that_are_forked_and_forgotten_change_nothing(ending):
    scores = after(f"for _ in range(5):\n    if os.fork() == 0:\n        {ending}\n        break")

    assert (scores.values, scores.failure) == ((3.0, 1.0), None)


def test_r6_too_much_memory_is_an_error_and_leaves_the_machine_alone():
    free = psutil.virtual_memory().available

    failure = after("bytearray(4 << 30)", WorkerLimits(seconds=5.0, memory_bytes=1 << 30)).failure

    assert failure
    assert (failure.kind, failure.message, failure.line) == ("error", "MemoryError", 4)
    assert psutil.virtual_memory().available > free - (1 << 30)


def test_r6_a_file_cannot_grow_for_ever():
    text = (
        "import os\ndef reward(completions: list[str], **kwargs):\n    sink = open('large', 'wb', buffering=0)\n"
        "    try:\n        for _ in range(2048):\n            sink.write(bytes(1 << 20))\n"
        "    except OSError as error:\n        print(error)\n    return [os.path.getsize('large')]\n"
    )

    scores = scored(text, batch("a"))

    assert scores.printed == "[Errno 27] File too large\n"
    assert scores.values == (float(MAX_FILE_BYTES),)


def test_r6_processor_time_ends_in_whatever_outlives_the_deadline():
    text = (
        "import resource\ndef reward(completions, **kwargs):\n"
        "    return [resource.getrlimit(resource.RLIMIT_CPU)[0], resource.getrlimit(resource.RLIMIT_CORE)[0]]\n"
    )

    seconds, core = scored(text, limits=WorkerLimits(seconds=2.0)).values

    assert 2 * 10 + 60 <= seconds <= 2 * 10 + 60 + 5
    assert core == 0


@pytest.mark.parametrize("lacking", [(), ("namespaces",)])
def test_r6_limits_cannot_be_lifted(tmp_path, lacking):
    """As root it is the privileges that are given up which allowed it."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))"

    with worker(misbehaving(code), program=poorer_host(tmp_path, *lacking)) as started:
        failure = started.score(batch("bad")).failure

    assert failure
    assert "not allowed to raise maximum limit" in failure.message


def test_r6_processes_are_limited_in_number(isolation):
    needs_network_wall(isolation)  # they are counted in its own user namespace
    text = "import resource\ndef reward(completions, **kwargs):\n    return resource.getrlimit(resource.RLIMIT_NPROC)\n"

    assert scored(text).values == (float(MAX_PROCESSES),) * 2


@pytest.mark.parametrize(
    "code",
    [
        """print('{"id": 1, "values": [9, 9], "failure": null}')""",
        "os.write(1, bytes(range(256)) * 50)\nos.write(2, b'\\xff' * 50)",
        "print('x' * 10_000_000)",
        "os.close(1)\nos.close(2)",
        "sys.stdout.close()\nsys.stderr = None",
        "sys.stdout = None",
        "os.system('echo from a child')",
        "os.dup2(os.open('/dev/null', os.O_WRONLY), 1)",
    ],
)
def test_r8_prints_do_not_touch_the_scores(code):
    scores = after(code)

    assert (scores.values, scores.failure) == ((3.0, 1.0), None)
    assert len(scores.printed) < MAX_PRINTED_BYTES + 100


def test_r8_each_batch_has_its_own_prints_in_order_and_cut():
    text = (
        "import os, sys\nprint('loading')\ndef reward(completions: list[str], **kwargs):\n"
        "    print(completions[0])\n    os.write(2, b'raw\\n')\n    print('to stderr', file=sys.stderr)\n"
        "    return [1.0]\n"
    )
    long = "x" * 20_000

    with worker(text) as started:
        printed = [started.score(batch(answer)).printed for answer in ("one", "zwei\N{SNOWMAN}", long)]

    assert printed[:2] == ["loading\none\nraw\nto stderr\n", "zwei\N{SNOWMAN}\nraw\nto stderr\n"]
    assert printed[2] == "x" * MAX_PRINTED_BYTES + f"\n... and {20_000 - MAX_PRINTED_BYTES + 15:,} bytes more"


def test_r8_an_answer_that_is_too_long_is_an_error():
    failure = scored("def reward(completions, log_extra):\n    for n in range(1200):\n"
                     "        log_extra(n, ['x' * 10000] * 2)\n    return [1, 1]").failure  # fmt: skip

    assert failure
    assert failure.kind == "error"
    assert failure.message == "The answer has 18 MiB of parts and logged columns; 16 are allowed"


def test_r10_the_environment_holds_no_secret(monkeypatch):
    for name in (
        "HF_TOKEN",
        "WANDB_API_KEY",
        "CUDA_VISIBLE_DEVICES",
        "LD_PRELOAD",
        "PYTHONPATH",
        "AWS_SECRET_ACCESS_KEY",
    ):
        monkeypatch.setenv(name, "")
    text = "import os\ndef reward(completions, **kwargs):\n    print(*sorted(os.environ))\n    return [1.0, 1.0]\n"

    with worker(text, marker={"STUDIO_RUN_ID": "run-7"}) as started:
        names = set(started.score(batch()).printed.split())

    assert names - {"LANG", "LC_ALL", "LC_CTYPE"} == {
        "PATH", "HOME", "TMPDIR", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "STUDIO_RUN_ID",
        "STUDIO_REWARD_WORKER",
    }  # fmt: skip


def test_r10_files_outside_are_closed_and_the_images_open(isolation, tmp_path):
    needs_file_wall(isolation)
    images, database = tmp_path / "images", tmp_path / "studio.db"
    images.mkdir()
    (images / "a.png").write_bytes(b"image")
    database.write_bytes(b"secret")
    text = (
        "import os\nfrom pathlib import Path\ndef reward(completions: list[str], **kwargs):\n    scores = []\n"
        "    for each in completions:\n        try:\n            scores.append(eval(each))\n"
        "        except (PermissionError, ProcessLookupError):\n            scores.append(None)\n"
        "        except OSError as error:\n            scores.append(None if error.errno == 30 else 0)\n"
        "    return scores\n"
    )  # 30: what is mounted read-only
    asked = {
        f"len(Path({str(images / 'a.png')!r}).read_bytes())": 5.0,
        "Path('own').write_text('four')": 4.0,
        "len(Path('own').read_text())": 4.0,
        f"len(Path({str(database)!r}).read_bytes())": None,
        f"Path({str(tmp_path / 'new')!r}).write_text('x')": None,
        f"Path({str(images / 'a.png')!r}).write_text('x')": None,
        f"os.remove({str(images / 'a.png')!r})": None,
        f"len(Path('/proc/{os.getpid()}/environ').read_bytes())": None,
        f"os.kill({os.getpid()}, 0)": None,
        "len(os.listdir('/root'))": None,
        f"len(Path({str(Path(__file__))!r}).read_bytes())": None,
    }

    scores = scored(text, batch(*asked), QUICK._replace(readable=(images,)))

    assert dict(zip(asked, scores.values, strict=True)) == asked
    assert scores.failure is None


@pytest.mark.parametrize("lacking", [(), ("namespaces",), ("seccomp",)])
@pytest.mark.parametrize("kind", ["SOCK_STREAM", "SOCK_DGRAM"])
def test_r11_no_address_can_be_reached_not_even_this_machines_own(tmp_path, kind, lacking):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        code = f"import socket\nsocket.socket(type=socket.{kind}).connect(('127.0.0.1', {port}))"
        with worker(misbehaving(code), program=poorer_host(tmp_path, *lacking)) as started:
            if not started.isolation.network:
                pytest.skip("this kernel has neither namespaces nor filters")
            failure = started.score(batch("bad")).failure

    assert failure
    assert failure.message in (
        "OSError: [Errno 101] Network is unreachable",
        "PermissionError: [Errno 13] Permission denied",
        "PermissionError: [Errno 1] Operation not permitted",
    )


def test_r11_what_is_achieved_is_said():
    all_of_it = dict.fromkeys(("limits", "network", "files", "processes", "calls"), True)
    assert describe_isolation(Isolation(**all_of_it)) == (
        "memory, time, files limited · no network · reads only Python and the images · no other processes · "
        "needless system calls refused"
    )
    for name, said in (
        ("limits", "memory and files: not limited on this host"),
        ("network", "network: not blocked on this host"),
        ("files", "files: not protected on this host"),
        ("processes", "other processes: not protected on this host"),
        ("calls", "system calls: not filtered on this host"),
    ):
        assert said in describe_isolation(Isolation(**all_of_it | {name: False}))
    assert "not a wall" in SECURITY_STATEMENT


def test_what_older_dry_runs_achieved_is_still_read():
    older = Isolation.model_validate_json('{"limits": true, "network": true, "files": true}')

    assert (older.level, older.processes, older.calls) == (2, False, False)


def test_r12_what_the_kernel_grants_is_used(isolation):
    """So that the skips above cannot take over unseen: the kernel is asked here by other means."""
    asked = ("unshare", "--user", "--net", "--pid", "--ipc", "--fork", "true")
    has_namespaces = subprocess.run(asked, stderr=subprocess.DEVNULL).returncode == 0
    has_landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), 1) >= 1
    has_seccomp = os.uname().machine in ("x86_64", "aarch64")

    assert isolation == Isolation(
        limits=True, network=has_namespaces or has_seccomp, files=has_landlock,
        processes=has_namespaces or (has_landlock and has_seccomp), calls=has_seccomp,
    )  # fmt: skip


LACKING = {
    (): set(),
    ("namespaces",): set(),  # the filter and Landlock close the same
    ("processes of its own",): set(),
    ("mounts",): set(),
    ("Landlock",): {"files"},
    ("seccomp",): {"calls"},
    ("namespaces", "Landlock"): {"files", "processes"},
    ("namespaces", "seccomp"): {"network", "files", "processes", "calls"},
}


@pytest.mark.parametrize(("lacking", "open_"), LACKING.items(), ids=map(" and ".join, LACKING))
def test_r12_what_a_poorer_host_does_not_grant_is_said_and_what_was_required_refused(
    monkeypatch, tmp_path, lacking, open_
):
    host = worker(returning("[1, 2]"), program=poorer_host(tmp_path, *lacking))

    with host:
        assert host.score(batch()).values == (1.0, 2.0)
        assert {name for name, stands in host.isolation.model_dump().items() if not stands} == open_
        assert (host.isolation.level == FULL_ISOLATION_LEVEL) == (not open_)
    if open_:
        monkeypatch.setenv("STUDIO_REQUIRE_SANDBOX", "1")
        for _ in range(2):
            with pytest.raises(SpecError, match=r"not (protected|filtered|blocked) on this host"):
                worker("", program=poorer_host(tmp_path, *lacking)).isolation  # noqa: B018
        with pytest.raises(SpecError, match="Rewards may not run here"):
            host.score(batch())


def test_r12_a_sandbox_that_is_granted_starts(monkeypatch, isolation):
    needs_network_wall(isolation)
    needs_file_wall(isolation)
    monkeypatch.setenv("STUDIO_REQUIRE_SANDBOX", "1")

    assert scored(returning("[1, 2]")).values == (1.0, 2.0)


def test_a_worker_that_cannot_start_says_so(monkeypatch, tmp_path):
    with pytest.raises(LaunchError, match="does not start"):
        RewardWorker(source(""), QUICK, program=tmp_path / "missing.py").score(batch())
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(LaunchError, match="cannot be started"):
        RewardWorker(source(""), QUICK).score(batch())


def test_a_worker_that_is_closed_starts_anew_and_one_unused_never_starts():
    worker("").close()
    with worker(COUNTS) as started:
        first, same = started.score(batch("a")).values, started.score(batch("a")).values
        started.close()
        other = started.score(batch("a")).values

    assert (first, same, other) == ((1.0,), (2.0,), (1.0,))


def test_a_worker_killed_between_batches_is_replaced():
    with worker(COUNTS) as started:
        started.score(batch("a"))
        process_of(started).kill()
        lost, fresh = started.score(batch("a")), started.score(batch("a"))

    assert lost.failure
    assert (lost.failure.kind, lost.failure.message) == (
        "died", "The worker was killed by SIGKILL, perhaps for want of memory",
    )  # fmt: skip
    assert (fresh.failure, fresh.values) == (None, (1.0,))
