"""Who answers: a checkpoint as it lies on disk, merged, or in 4 bits; with the image bounds it was trained with."""

import gc
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import nn

from backend.catalog.checkpoints import Checkpoint, pixel_bounds, read_record, resolve_checkpoint
from backend.programs.model.adapters import ModelHost
from backend.programs.model.checkpoint import as_for_generation
from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import choose_precision, inference_device, load_base, load_checkpoint
from backend.settings import Workspace
from backend.spec.evaluation import Contestant
from backend.spec.run import RunSpec

MERGED = "merged"  # a folder for the whole model that is loaded again in 4 bits


class LoadedModel(NamedTuple):
    """A contestant that can be asked."""

    model: nn.Module
    encoder: Encoder


class Contestants:
    """Loads one contestant at a time; adapters of one base share it."""

    def __init__(self, spec: RunSpec, workspace: Workspace, scratch: Path) -> None:
        """Find all of them. `scratch` is a folder for what is merged. Raises StudioError for one that is unusable."""
        self._scratch = scratch
        self._checkpoints = [resolve_checkpoint(each.checkpoint, workspace) for each in spec.comparison.contestants]
        self._host: tuple[Path, ModelHost] | None = None

    def bounds(self, number: int) -> tuple[int, int]:
        """The image bounds in px of a contestant: its own training's, else another contestant's, else the usual."""
        records = [read_record(checkpoint.folder) for checkpoint in self._checkpoints]
        return pixel_bounds(records[number], *records)

    def base_folder(self, number: int) -> Path:
        """The whole model that a contestant is, or stands on."""
        return self._checkpoints[number].base_folder

    @contextmanager
    def ready(self, number: int, contestant: Contestant) -> Iterator[LoadedModel]:
        """Load a contestant for as long as it answers. Raises CheckpointError where it cannot be loaded."""
        checkpoint = self._checkpoints[number]
        encoder = Encoder(checkpoint.base_folder, *self.bounds(number))
        if contestant.form == "saved":
            host = self._host_for(checkpoint)
            with host.active_with_vision(host.prepare(checkpoint)) as model:
                yield LoadedModel(model, encoder)
            return
        self._forget()
        model = self._merged(checkpoint) if contestant.form == "merged" else self._in_4_bits(checkpoint)
        yield LoadedModel(model.eval(), encoder)
        del model
        gc.collect()

    def _host_for(self, checkpoint: Checkpoint) -> ModelHost:
        if self._host is None or self._host[0] != checkpoint.base_folder:
            self._forget()
            self._host = (checkpoint.base_folder, ModelHost(checkpoint.base_folder))
        return self._host[1]

    def _forget(self) -> None:
        """Make room for the next model."""
        self._host = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _merged(self, checkpoint: Checkpoint) -> nn.Module:
        model: Any = load_checkpoint(checkpoint, choose_precision("auto")).to(inference_device())
        return model.merge_and_unload() if isinstance(model, PeftModel) else model

    def _in_4_bits(self, checkpoint: Checkpoint) -> nn.Module:
        """What an export in 4 bits would answer: the merged model, its language part in NF4."""
        folder = checkpoint.base_folder
        try:
            if checkpoint.adapter is not None:
                folder = self._scratch / MERGED
                self._write_merged(checkpoint, folder)
                self._forget()  # the merged model must be gone before the other comes
            return load_base(folder, choose_precision("auto"), quantised=True).to(inference_device())
        finally:
            shutil.rmtree(self._scratch / MERGED, ignore_errors=True)

    def _write_merged(self, checkpoint: Checkpoint, folder: Path) -> None:
        with as_for_generation(self._merged(checkpoint)) as whole:
            whole.save_pretrained(folder)
