"""The checkpoints of a run: when one is due, whether the disk has room, how it is written, which are kept."""

import shutil
import time
from pathlib import Path
from typing import Any

from torch import nn

from backend.catalog.checkpoints import STATE
from backend.catalog.disk_space import RESERVE_BYTES, DiskNeed, free_bytes, sized
from backend.programs.model.checkpoint import (
    Weights,
    complete,
    gathered,
    is_spread,
    is_trained_vision,
    partial_of,
    put_in_place,
    whole_or_absent,
    write_model,
)
from backend.programs.model.encoder import Encoder
from backend.programs.training.base_trainer import StudioTrainer
from backend.programs.training.distributed import barrier
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

LOWER_IS_BETTER = frozenset({"loss"})


class DiskBudget:
    """What a checkpoint takes: estimated at first, then as large as the last one was."""

    def __init__(self, folder: Path, expected_bytes: int, final_bytes: int = 0) -> None:
        """Take the run's folder, what its first checkpoint should take, and what the final model will."""
        self._folder, self._needed, self._reserved_bytes = folder, expected_bytes, final_bytes + RESERVE_BYTES

    def measure(self, written: Path) -> None:
        """Take in how large a checkpoint came out."""
        self._needed = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())

    def shortage(self) -> str:
        """Say what is missing for one more; empty where there is room."""
        needed, free = self._needed + self._reserved_bytes, free_bytes(self._folder)
        if needed <= free:
            return ""
        return (
            f"The disk is nearly full: a checkpoint and the final model need {sized(needed)}, and {sized(free)} are "
            "free. No checkpoint is written until there is room again; training goes on"
        )


class CheckpointManager:
    """Writes and prunes. Every process calls every method at the same step."""

    def __init__(self, spec: RunSpec, folder: RunFolder, encoder: Encoder, need: DiskNeed | None = None) -> None:
        """Start the clock of `saving.every_minutes`; `need` is what the run should take on disk."""
        self._spec, self._folder, self._encoder = spec, folder, encoder
        self._last_at = time.monotonic()
        self.trainer: StudioTrainer | None = None
        self.written: str = ""  # name of the newest one
        self.best: str = ""  # name of the one with the best evaluation
        self.best_score: float | None = None
        self._score_before: float | None = None  # of the best one before
        self.since_best = 0  # evaluations since then
        self.disk = DiskBudget(folder.path, need.checkpoint if need else 0, need.final if need else 0)

    def is_overdue(self) -> bool:
        """Whether `saving.every_minutes` have passed since the last one; processes may disagree, so one must decide."""
        minutes = self._spec.saving.every_minutes
        return bool(minutes) and time.monotonic() - self._last_at >= 60 * minutes

    def is_due(self, step: int) -> bool:
        """Whether the step itself asks for one."""
        every = self._spec.saving.every_steps
        return bool(every) and step % every == 0

    def postpone(self, *, is_best: bool) -> None:
        """Start the clock anew without having written one; what is not kept is not the best that is."""
        self._last_at = time.monotonic()
        if is_best:
            self.best_score = self._score_before

    def update_best(self, metrics: dict[str, float]) -> bool:
        """Take in an evaluation; tell whether it is the best so far. One that lacks the metric is not judged."""
        name = self._spec.evaluation.metric
        score = metrics.get("eval_loss" if name == "loss" else name)
        if score is None:
            return False
        gain = -score if name in LOWER_IS_BETTER else score
        is_better = self.best_score is None or gain > self.best_score
        self.since_best = 0 if is_better else self.since_best + 1
        if is_better:
            self._score_before, self.best_score = self.best_score, gain
        return is_better

    def write(self, step: int, *, is_best: bool = False) -> str:
        """Write `checkpoint-<step>` with all that going on needs; prune. Returns its name.

        Raises:
            OSError: the disk refuses; older checkpoints are as they were.
        """
        name = f"checkpoint-{step}"
        if self.written != name:
            self._write(name, step)
        self._last_at, self.written = time.monotonic(), name
        if is_best:
            self.best = name
        if self._is_first:
            self.disk.measure(self._folder.path / name)
            self._remove_old()
        return name

    def write_final(self, step: int) -> None:
        """Write `final_model`: the weights as they are, or those of the best checkpoint where the spec says so.

        A best checkpoint that somebody removed by hand must not cost the run its end: the last weights stand in.
        """
        if self._spec.saving.final == "best" and self.best in self._names():
            if self._is_first:
                self._copy_best()
        else:
            weights = self._spread_weights()
            if self._is_first:
                with whole_or_absent(self._folder.final_model) as partial:
                    write_model(self._model, self._encoder, self._spec, partial, weights)
                    complete(partial, self._spec, step)
        barrier()

    @property
    def _trainer(self) -> StudioTrainer:
        if self.trainer is None:
            raise RuntimeError("the trainer is not there yet")
        return self.trainer

    @property
    def _model(self) -> nn.Module:
        return self._trainer.unwrapped()

    @property
    def _is_first(self) -> bool:
        return bool(self._trainer.is_world_process_zero())

    def _write(self, name: str, step: int) -> None:
        """All processes write their part of the state, the first one the weights; then it takes its name."""
        folder = self._folder.path / name
        partial = partial_of(folder)
        if self._is_first:
            shutil.rmtree(partial, ignore_errors=True)
            (partial / STATE).mkdir(parents=True)
        barrier()
        self._trainer.save_state(partial / STATE)
        weights = self._spread_weights()
        if self._is_first:
            write_model(self._model, self._encoder, self._spec, partial, weights)
        barrier()
        if self._is_first:
            complete(partial, self._spec, step)
            put_in_place(partial, folder)
        barrier()

    def _spread_weights(self) -> Weights | None:
        """The weights of a checkpoint where ZeRO-3 has spread them; None where the model's own are whole."""
        if not is_spread(self._model):
            return None
        is_whole = self._spec.table.is_whole

        def is_saved(name: str, parameter: nn.Parameter) -> bool:
            return is_whole or ".lora_" in name or is_trained_vision(name, parameter)

        return gathered(self._model, is_saved, is_kept=self._is_first)

    def _names(self) -> list[str]:
        """The checkpoints that lie there whole."""
        return [path.name for path in self._folder.checkpoints()]

    def _copy_best(self) -> None:
        """Copy the best checkpoint without its optimizer; its own record says which step it is."""
        best = self._folder.path / self.best
        with whole_or_absent(self._folder.final_model) as partial:
            shutil.copytree(best, partial, dirs_exist_ok=True, ignore=_not_weights(best))
            complete(partial, self._spec, int(self.best.rsplit("-", 1)[1]))

    def _remove_old(self) -> None:
        """Keep the newest `saving.keep` checkpoints, and the best one wherever it stands."""
        for old in self._folder.checkpoints()[: -self._spec.saving.keep]:
            if old.name != self.best:
                hidden = old.with_name(f".{old.name}.removed")
                old.rename(hidden)
                shutil.rmtree(hidden, ignore_errors=True)


def _not_weights(best: Path) -> Any:
    def ignored(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(folder) == best and name in (STATE, "complete.json")]

    return ignored
