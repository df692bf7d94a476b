"""Kill web process, keepers, training programs and imports 200 times, and fill the disk under every writer.

python -m tests.benchmarks.measure_faults [--short] [--write] [--seed N] [--kills N]
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.faults.fault_campaign import Campaign, Found
from tests.faults.full_disk import Trial, on_a_small_disk
from tests.faults.killed_training import KIND as REAL
from tests.faults.killed_training import kill_trainings
from tests.scripts.readme import machine, write_section

KILLS = 200
SHORT = 12
REAL_KILLS = 4  # of these 200
KINDS = ("web process", "keeper", "trainer", "importer")


def main() -> None:
    """Do it, tell what was found, and fail where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"{SHORT} kills")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=KILLS)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        found = kill(Path(folder) / "kills", args.seed, SHORT if args.short else args.kills - REAL_KILLS)
        if not args.short:
            kill_trainings(Path(folder) / "real", args.seed, REAL_KILLS, found)
        (Path(folder) / "full").mkdir()
        trials = on_a_small_disk(Path(folder) / "full")
    text = table(found, trials, args.seed, time.monotonic() - begun)
    print(text)
    print(json.dumps({"states": found.states, "late": found.late, "wrong": found.wrong}, indent=2))
    if args.write:
        write_section("measured:faults", text)
    sys.exit(bool(found.wrong or [trial for trial in trials if not (trial.is_intact and trial.works_again)]))


def kill(root: Path, seed: int, kills: int) -> Found:
    """So many kills, shared out over the four kinds."""
    root.mkdir()
    campaign = Campaign(root, seed)
    try:
        return campaign.run({kind: kills // len(KINDS) for kind in KINDS})
    finally:
        campaign.close()


def table(found: Found, trials: list[Trial], seed: int, seconds: float) -> str:
    """What was found, for the README."""
    refused = ", ".join(trial.writer for trial in trials)
    torn = [trial.writer for trial in trials if not trial.is_intact]
    stuck = [trial.writer for trial in trials if not trial.works_again]
    lines = [
        "| killed at random moments | times |",
        "|---|---|",
        *(f"| {kind} | {found.kills[kind]} |" for kind in (*KINDS, REAL)),
        "",
        f"Afterwards: {found.runs} runs, {found.lines:,} lines of events and {found.imports} datasets looked at;"
        f" {len(found.wrong)} things wrong (a state that is not what happened, a process left, a device held, a line"
        " lost, a damaged index, a dataset that is neither whole nor absent, a rebuilt index that tells otherwise). The"
        f" disk was filled under {len(trials)} writers ({refused}): {len(torn)} left something torn, {len(stuck)}"
        f" failed once there was space again. Seed {seed}, {seconds:.0f} s,"
        f" `python -m tests.benchmarks.measure_faults --write` on {machine()}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
