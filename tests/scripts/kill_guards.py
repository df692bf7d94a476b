"""Take out each guard of `tests/guards`, in a copy of the tree, and see its test fail.

python -m tests.scripts.kill_guards [--changed] [--seconds S] [--only PART] [--record] [--write]

`--changed` leaves out those whose death was seen with these very files (`tests/guards/killed.json`, which `--record`
writes); so CI tries what has changed, for as long as `--seconds` says, and a nightly run tries all.
"""

import argparse
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backend.settings import ROOT
from tests.guards.guard import Guard, digest, killer_of, mutated, place_of
from tests.guards.guards import GUARDS
from tests.scripts.readme import machine, write_section

RECORD = ROOT / "tests" / "guards" / "killed.json"
AT_ONCE = 2
MOST_S = 120.0  # a test that hangs without its guard has noticed as well
FAILED = 1  # pytest's exit code; others mean that nothing was tested


def main() -> None:
    """Try them one after the other; fail where one was not missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--changed", action="store_true", help="only those whose files changed since they were seen die"
    )
    parser.add_argument("--seconds", type=float, default=float("inf"), help="begin with no further one after so long")
    parser.add_argument("--only", default="", help="only those whose symbol holds this text")
    parser.add_argument("--record", action="store_true", help="write down which were seen to die")
    parser.add_argument("--write", action="store_true", help="write the figure into the docs")
    args = parser.parse_args()
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    chosen = [guard for guard in GUARDS if args.only in guard.symbol]
    tried = [guard for guard in chosen if not args.changed or known.get(guard.name) != digest(guard)]
    seen = {guard: digest(guard) for guard in tried}
    died: list[Guard] = []

    def noted(guard: Guard) -> None:
        died.append(guard)
        if args.record:
            note(guard, seen[guard])

    alive = kill(tried, noted, time.monotonic() + args.seconds)
    left = len(tried) - len(died) - len(alive)
    known_as_they_are = len(chosen) - len(tried)
    print(
        f"{len(died)} of {len(tried) - left} guards died; {known_as_they_are} were seen to die as they are; {left} left"
    )
    if args.write and not alive:
        write_section("measured:guards", figure(len(chosen)))
    sys.exit(bool(alive))


def note(guard: Guard, seen: str) -> None:
    """Write down that it was seen to die, with these files; and forget what is no guard any more."""
    current = {each.name for each in GUARDS}
    known = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    kept = {name: value for name, value in known.items() if name in current} | {guard.name: seen}
    RECORD.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")


def kill(guards: Sequence[Guard], died: Callable[[Guard], None], deadline: float) -> list[Guard]:
    """Take each out and run its test, until the deadline; return those that no test missed."""
    without = {guard: (mutated(guard), killer_of(guard)) for guard in guards}  # as the tree is now, whatever comes
    with tempfile.TemporaryDirectory(prefix="guards-", ignore_cleanup_errors=True) as folder:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(AT_ONCE):
            trees.put(Path(folder) / str(number))
            copy_tree(Path(folder) / str(number))

        def tried(guard: Guard) -> str:
            if time.monotonic() > deadline:
                return "left"
            tree = trees.get()
            path = tree / place_of(guard.symbol).path
            whole = path.read_text(encoding="utf-8")
            path.write_text(without[guard][0], encoding="utf-8")
            verdict = verdict_of(tree, without[guard][1])
            path.write_text(whole, encoding="utf-8")
            trees.put(tree)
            print(f"{verdict}: {guard.name} ({guard.killer})", flush=True)
            return verdict

        alive = []
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for guard, verdict in zip(guards, pool.map(tried, guards), strict=True):
                if verdict == "died":
                    died(guard)
                elif verdict != "left":
                    alive.append(guard)
        return alive


def copy_tree(into: Path) -> None:
    """Copy what git knows or would take, as it is now."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT, check=True, stdout=subprocess.PIPE,
    ).stdout  # fmt: skip
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, into / name)


def verdict_of(tree: Path, node: str) -> str:
    """Run one test there: `died`, `lives`, or what went wrong."""
    argv = (sys.executable, "-m", "pytest", "-n", "0", "-q", "-x", "-p", "no:cacheprovider", "-m", "", node)
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        argv, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        try:
            told, _ = process.communicate(timeout=MOST_S)
        except subprocess.TimeoutExpired:
            return "died"
        finally:  # a studio that the test had started, for one
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode == FAILED:
        return "died"
    return "lives" if process.returncode == 0 else f"was not tried: {told.decode(errors='replace')[-500:]}"


def figure(count: int) -> str:
    """What the docs say of them, where none was left alive."""
    return (
        f"{count} of {count} guards, taken out one at a time, were missed by the test that is named for them "
        f"(`tests/guards/guards.py`); `python -m tests.scripts.kill_guards --write` on {machine()}."
    )


if __name__ == "__main__":
    main()
