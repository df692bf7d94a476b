"""A reward that tries every way out of its worker while it trains the demo model."""

import json
import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from backend.runs.answers import read_rollouts
from backend.runs.events import read_all
from backend.runs.folder import RUN_MARKER, RunFolder
from launcher.processes import members
from tests.rewards.escape_lab import ESCAPES, SURVIVORS, outside, prelude
from tests.rewards.reward_lab import running
from tests.road.conftest import Road

pytestmark = pytest.mark.torch

MARK = f"291.{os.getpid()}"
SMALL = [
    "--set", "batching.batch_size=4", "--set", "grpo.generations=4", "--set", "grpo.max_completion_tokens=4",
    "--set", "evaluation.rows=0", "--set", "grpo.check_rows=1", "--set", "optimiser.max_steps=7",
    "--set", "grpo.reward_memory_gb=1",
]  # fmt: skip
# By step: what is refused, what is left behind, what outgrows the totals; and it pays as any other reward does.
REWARD = """
from itertools import islice

def hoard():
    for _ in range(8):
        if os.fork() == 0:
            kept = bytearray(os.urandom(1 << 20) * 200)
            time.sleep(600)
    time.sleep(600)

def fill():
    for number in range(20):
        Path(str(number)).write_bytes(bytes(60 << 20))

def own():
    return [resource.getrlimit(resource.RLIMIT_FSIZE), os.nice(0), sorted(os.sched_getaffinity(0))]

def reward(completions: list[str], trainer_state, log_extra, **columns):
    step = trainer_state.global_step if trainer_state.max_steps else 0
    told = {name: tried(code) for name, code in islice(ESCAPES.items(), step - 1, None, 3)} if 1 <= step <= 3 else {}
    if step == 4:
        told = {name: tried(code) for name, code in SURVIVORS.items()}
        told["left behind"] = str(len(told))
    if step == 5:
        told = {"many files": tried("fill()")}
    if step == 6:
        hoard()
    log_extra("told", [json.dumps(told)] * len(completions))
    log_extra("own", [json.dumps(own())] * len(completions))
    return [float(len(text)) for text in completions]
"""


@dataclass(frozen=True)
class Elsewhere(Road):
    """The same workspace, with a folder of its own for what is temporary."""

    temporary: Path

    def environment(self) -> dict[str, str]:
        return super().environment() | {"TMPDIR": str(self.temporary)}


@pytest.fixture(scope="module")
def temporary(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def escaped(road, temporary, tmp_path_factory):
    """A real run of such a reward: its folder, how it ended, what lay outside, and how its processes were seen."""
    place, elsewhere = tmp_path_factory.mktemp("escaping"), Elsewhere(road.root, temporary)
    with outside(place / "outside") as there, psutil.Popen(("sleep", "600")) as victim:
        text = prelude(there, victim.pid, MARK) + f"ESCAPES = {ESCAPES!r}\nSURVIVORS = {SURVIVORS!r}\n" + REWARD
        (place / "escaping.py").write_text(text)
        road.result("reward", "save", "escaping", str(place / "escaping.py"))
        before = state_of(victim.pid)
        words = ("train", "grpo", "--dataset", "codes", "--reward", "escaping", "--detach", "--json", *SMALL)
        started = elsewhere.command(*words)
        assert started.exit_code == 0, started.stderr
        run_id = json.loads(started.stdout[started.stdout.rindex('{\n "run_id"') :])["run_id"]
        folder, states = RunFolder(road.root / "output" / run_id), {}
        while not folder.exit.exists():
            for pid in trainers(run_id):
                states.setdefault(pid, []).append(state_of(pid))
            time.sleep(0.5)
        run = road.wait_for_state(run_id, {"finished", "failed", "stopped", "lost"})
        is_untouched = there.is_untouched and state_of(victim.pid) == before
        victim.kill()
    return folder, run, is_untouched, states


def trainers(run_id: str) -> list[int]:
    """Every process of the run that could be reached from a reward: its own are not looked at."""
    found = []
    for process in psutil.process_iter():
        try:
            is_ours = process.environ().get(RUN_MARKER) == run_id and "worker.py" not in " ".join(process.cmdline())
        except psutil.Error:
            continue
        found += [process.pid] if is_ours else []
    return found


def state_of(pid: int) -> object:
    """What another process could change of it; None where it just ended."""
    kinds = (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE, resource.RLIMIT_NOFILE)
    try:
        seen = psutil.Process(pid)
        return [resource.prlimit(pid, kind) for kind in kinds], seen.nice(), seen.cpu_affinity(), seen.ionice()
    except (psutil.Error, OSError):
        return None


def told(folder: RunFolder, step: int, column: str = "told") -> dict[str, str]:
    (group,) = read_rollouts(folder.completions, step)
    return json.loads(group.answers[0].noted[column])


def test_r17_r18_r19_every_way_out_is_refused_in_a_real_run_too(escaped):
    folder, run, is_untouched, _ = escaped
    tried = {name: why for step in (1, 2, 3) for name, why in told(folder, step).items()}

    assert run["state"] == "finished", run
    assert tried.keys() == ESCAPES.keys()
    assert [name for name, why in tried.items() if not why] == []
    assert is_untouched


def test_r17_the_trainer_is_as_it_was(escaped):
    folder, _, _, states = escaped
    seen = [[each for each in of if each is not None] for of in states.values()]

    assert any(len(of) > 3 for of in seen)
    assert [of for of in seen if any(each != of[0] for each in of)] == []
    assert told(folder, 0, "own") == told(folder, 5, "own")


def test_r16_nothing_of_it_is_alive_afterwards(escaped, temporary):
    folder, *_ = escaped

    assert told(folder, 4) == {**dict.fromkeys(SURVIVORS, ""), "left behind": str(len(SURVIVORS))}
    assert running("sleep", MARK) == []
    assert members(folder) == []
    assert list(temporary.glob("studio-reward-*")) == []


def test_r20_what_outgrows_its_totals_is_ended_and_the_run_goes_on(escaped):
    folder, run, *_ = escaped
    notes = [event.values["text"] for event in read_all(folder.events) if event.kind == "note"]
    (lost,), (paid,) = read_rollouts(folder.completions, 6), read_rollouts(folder.completions, 0)

    assert "No space left on device" in told(folder, 5)["many files"]
    assert {(answer.reward, answer.advantage) for answer in lost.answers} == {(None, 0.0)}
    assert "Reward `escaping`: The worker and what it started use more than 1,024 MiB of memory" in notes
    assert all(answer.reward == float(len(answer.text)) for answer in paid.answers)
    assert run["step"] == 7
    assert list(folder.final_model.glob("*.safetensors"))
