"""Attack a studio with and without accounts: each event with every kind of wrong value in each place, each route.

python -m tests.benchmarks.measure_attack [--every N] [--write]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from backend.settings import ROOT
from tests.scripts.readme import machine, write_section
from tests.studio.attack.attacks import attack
from tests.studio.attack.target import LONGEST_S, MOST_GROWTH, Target
from tests.studio.conftest import ASSEMBLE

LEAST_REQUESTS = 50_000
SHOWN = 40  # of the findings of each kind


def main() -> None:
    """Do it, tell what was found, and fail where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=2, help="one in so many tries")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        argv = [sys.executable, "-c", ASSEMBLE, f"{folder}/assembled"]
        paths = json.loads(subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)["paths"]
        found = {}
        for name, has_accounts in (("open", False), ("with accounts", True)):
            workspace = Path(folder) / name.replace(" ", "-")
            workspace.mkdir()
            found[name] = attack(workspace, paths, has_accounts=has_accounts, every=args.every, at_once=8)
            for kind in ("taken", "odd", "leaks", "new_files", "faults"):
                for line in getattr(found[name], kind)[:SHOWN]:
                    print(f"{name}, {kind}: {line}")
    text = table(found, time.monotonic() - begun)
    print(text)
    if args.write:
        write_section("measured:attack", text)
    requests = sum(each.requests for each in found.values())
    sys.exit(any(is_wrong(each) for each in found.values()) or (args.write and requests < LEAST_REQUESTS))


def is_wrong(found: Target) -> bool:
    """Whether anything was seen that must not be."""
    wrong = found.taken or found.odd or found.leaks or found.new_files or found.fetched or found.faults
    return bool(wrong) or found.errors > 0 or found.longest_s >= LONGEST_S or found.grown >= MOST_GROWTH


def table(found: dict[str, Target], seconds: float) -> str:
    """What the docs show."""
    rows = {
        "requests": [f"{each.requests:,}" for each in found.values()],
        "answered 4xx": [f"{each.refused:,}" for each in found.values()],
        "answered 5xx": [f"{each.errors}" for each in found.values()],
        "file references that were not refused": [f"{len(each.taken)}" for each in found.values()],
        "new files, addresses fetched": [f"{len(each.new_files)}, {len(each.fetched)}" for each in found.values()],
        "tracebacks in the log": [f"{len(each.faults)}" for each in found.values()],
        "paths, secrets or tracebacks in answers": [f"{len(each.leaks)}" for each in found.values()],
        "longest wait of `/healthz`": [f"{each.longest_s:.2f} s" for each in found.values()],
        "the same of a server that was left alone": [f"{each.control_s:.2f} s" for each in found.values()],
        "its median while nobody else asked": [f"{1000 * each.idle_s:.1f} ms" for each in found.values()],
        "memory grew by": [f"{each.grown / 1e6:.0f} MB" for each in found.values()],
    }
    return "\n".join([
        f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}",
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()), "",
        f"Each event of both pages with every kind of wrong value in each of its places, each route by nine methods, "
        f"large bodies and connections that never end, all from one machine in {seconds / 60:.0f} minutes; "
        f"`python -m tests.benchmarks.measure_attack --write` on {machine()}.",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
