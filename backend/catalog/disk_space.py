"""What a run writes to disk, estimated before it starts: a full disk is met at the desk, not in the night."""

import shutil
from pathlib import Path
from typing import NamedTuple

from backend.catalog.trainable_parameters import TrainedPart, trained_table
from backend.errors import LaunchError, StudioError
from backend.settings import Workspace
from backend.spec.run import RunSpec

RESERVE_BYTES = 256 << 20  # for logs, events and the index
BYTES_OF_STATE = 12  # of each trained parameter: fp32 master weight and two Adam moments
TRAINING = ("sft", "grpo")


class DiskNeed(NamedTuple):
    """Bytes that a run writes. An estimate: tokenizers, logs and answers come on top."""

    final: int  # the final model
    checkpoint: int  # one checkpoint with the optimizer's state
    checkpoints_kept: int  # how many of them stay; 0 where none is written by the clock or the step

    @property
    def least(self) -> int:
        """Without so much not even one checkpoint and the final model fit."""
        return self.final + (self.checkpoint if self.checkpoints_kept else 0)

    @property
    def most(self) -> int:
        """All that stays, and one more while it is written."""
        return self.final + (self.checkpoint * (self.checkpoints_kept + 1) if self.checkpoints_kept else 0)


def disk_need(spec: RunSpec, rows: list[TrainedPart]) -> DiskNeed:
    """Estimate what a run writes.

    Args:
        spec: of the run.
        rows: what it trains, as `trained_table` tells.
    """
    width = 4 if spec.model.precision == "fp32" else 2
    trained = sum(row.trained for row in rows)
    weights = width * (sum(row.total for row in rows) if spec.table.is_whole else trained)
    saves = spec.saving.every_steps or spec.saving.every_minutes
    return DiskNeed(weights, weights + BYTES_OF_STATE * trained, spec.saving.keep if saves else 0)


def free_bytes(folder: Path) -> int:
    """What the disk of a folder has left for this user."""
    return shutil.disk_usage(folder).free


def refuse_full_disk(spec: RunSpec, workspace: Workspace) -> None:
    """Raise LaunchError where not even one checkpoint and the final model of a training run fit on the disk."""
    if spec.kind not in TRAINING:
        return
    try:
        rows = trained_table(spec, workspace)
    except StudioError:  # a model that is not there is told elsewhere, in better words
        return
    needed, free = disk_need(spec, rows).least + RESERVE_BYTES, free_bytes(workspace.output)
    if needed > free:
        raise LaunchError(
            f"The run needs at least {sized(needed)} of disk for one checkpoint and its final model, "
            f"and {sized(free)} are free",
            hint="Free some space, for example by deleting old runs, or set STUDIO_WORKSPACE to a larger disk",
        )


def sized(size: int) -> str:
    """Bytes for a person, in decimal units as disks are sold."""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.0f} MB"
