"""Kill real training programs on the demo model at random moments, and go on from what they left."""

import os
import random
import signal
import time
from pathlib import Path

from backend.catalog.checkpoints import read_record as read_checkpoint
from backend.catalog.checkpoints import resumable_names
from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.datasets import DEMO_DATASETS, write_rows
from backend.errors import CheckpointError
from backend.recipes.library import load_recipe
from backend.recipes.resolve import resolve
from backend.runs.events import read_all
from backend.runs.folder import ProcessRecord, read_record
from backend.settings import Workspace
from backend.store.runs import RunStore
from launcher.processes import members
from launcher.run_manager import RunManager
from tests.faults.fault_campaign import Found, state_of, until

KIND = "training on the demo model"
STEPS, SAVED_EVERY = 40, 4
MOST_S = 3.0  # from its first step to the kill


def kill_trainings(root: Path, seed: int, times: int, found: Found) -> None:
    """Kill so many trainings at one of their processes; a further run goes on from the last checkpoint to the end."""
    chance, workspace = random.Random(seed), Workspace(root)
    workspace.prepare()
    write_rows(DEMO_DATASETS[0], root / "rows")
    DatasetStore(workspace).import_dataset(root / "rows", ImportOptions(name="shapes"))
    launcher = RunManager(workspace, RunStore(workspace))
    values = {"data.datasets": [{"name": "shapes"}], "optimiser.max_steps": STEPS, "saving.every_steps": SAVED_EVERY,
              "saving.keep": 2, "evaluation.rows": 0}  # fmt: skip
    spec = resolve(load_recipe("lora").spec.with_values(values), workspace)
    for _ in range(times):
        run = launcher.runs.get(launcher.submit(spec))
        until(lambda run=run: any(event.kind == "metric" for event in read_all(run.folder.events)), 120)
        time.sleep(chance.uniform(0, MOST_S))
        keeper = read_record(run.folder.process, ProcessRecord)
        there = [each.pid for each in members(run.folder) if keeper is not None and each.pid != keeper.keeper_pid]
        if there:
            os.kill(chance.choice(there), signal.SIGKILL)
        (found.kills if there else found.late)[KIND] += 1
        ended = launcher.wait(run.id)
        has_ended = any(event.kind == "end" for event in read_all(run.folder.events))
        is_true = ended.state == "failed" and "killed" in ended.reason
        found.check(is_true or has_ended, f"{state_of(ended)} after a process of it was killed")
        found.check(not members(run.folder), f"{run.id} is over, and processes of it are left")
        for checkpoint in ended.folder.checkpoints():
            try:
                read_checkpoint(checkpoint)
            except CheckpointError as error:
                found.check(False, f"{run.id}: {error}")
        if resumable_names(ended.folder):
            after = launcher.wait(launcher.resume(run.id))
            found.check(
                after.state == "finished" and after.folder.has_final_model, f"{state_of(after)}, gone on from a kill"
            )
    found.check(launcher.runs.holders() == {}, "devices are still held after trainings were killed")
    launcher.runs.close()
