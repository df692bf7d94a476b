"""The road of one training run, from its spec to `final_model` and the `end` event."""

from typing import Any

import torch
from torch import nn
from transformers import set_seed

from backend.catalog.checkpoints import STATE, resolve_checkpoint, resumable, verify
from backend.catalog.disk_space import disk_need
from backend.catalog.trainable_parameters import trained_table
from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import ModelSource, Precision, choose_precision
from backend.programs.model.parts import whole_size
from backend.programs.model.prompts import dataset_folders, validation_questions
from backend.programs.training.build_trainer import TrainerBuilder
from backend.programs.training.callbacks import TrainingCallback
from backend.programs.training.checkpoint_manager import CheckpointManager
from backend.programs.training.evaluation import Evaluator
from backend.programs.training.rows import TrainingRows
from backend.programs.training.run_logger import RunLogger, wandb_logger_for
from backend.rewards.trl_reward import build_own_metrics, closing
from backend.row_length import RowMeter
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.files import read_spec
from backend.spec.run import RunSpec


def train(folder: RunFolder, events: EventWriter | None) -> None:
    """Train as `folder`'s spec says, write the final model, and say how it ended.

    Args:
        folder: of the run, in `<workspace>/output/`.
        events: the writer on rank 0, None on the others.

    Raises:
        StudioError: something in the spec cannot be done after all.
    """
    spec = read_spec(folder.path)
    workspace = Workspace(folder.path.parent.parent)
    if spec.devices.threads:
        torch.set_num_threads(spec.devices.threads)
    logger = RunLogger(events, wandb_logger_for(spec, folder, is_first=events is not None))
    logger.log("progress", 0, phase="loading")
    set_seed(spec.data.seed)
    precision = choose_precision(spec.model.precision)
    base = resolve_checkpoint(spec.model.base, workspace).base_folder
    encoder, meter = Encoder(base, spec.model.min_pixels, spec.model.max_pixels), RowMeter(base)
    rows = TrainingRows(spec, workspace, encoder, meter)
    builder = TrainerBuilder(spec, folder, ModelSource(base, precision), encoder, rows)
    own_metrics = (
        build_own_metrics(spec, spec.evaluation.own_metrics, folder, dataset_folders(spec, workspace))
        if events is not None
        else []
    )
    evaluator = Evaluator(spec, validation_questions(spec, workspace, meter), encoder, builder.collator, own_metrics)
    need = disk_need(spec, trained_table(spec, workspace))
    checkpoints = CheckpointManager(spec, folder, encoder, need)
    callback = TrainingCallback(spec, folder, builder.sampler, evaluator, checkpoints, logger)
    with closing(own_metrics), builder.build(callback) as trainer:
        callback.bind(trainer)
        _log_setup(logger, spec, rows, trainer.model, precision)
        for text in trainer.notes():
            logger.log("note", 0, level="info", text=text)
        trainer.train(resume_from_checkpoint=_state_of(spec, workspace))
        _finish(trainer, callback, checkpoints, logger)


def _state_of(spec: RunSpec, workspace: Workspace) -> str | None:
    """Where the optimizer of the checkpoint lies that this run goes on from, once every file of it was read whole."""
    if not spec.resumed_from:
        return None
    folder = resumable(spec.resumed_from, workspace)
    verify(folder)
    return str(folder / STATE)


def _finish(trainer: Any, callback: TrainingCallback, checkpoints: CheckpointManager, logger: RunLogger) -> None:
    """Measure and save the final model unless the studio asked otherwise, and say how it ended."""
    step = trainer.state.global_step
    if callback.is_stopped_early:
        text = f"Stopped early: {checkpoints.since_best} evaluations in a row were no better than `{checkpoints.best}`"
        logger.log("note", step, level="info", text=text)
    if callback.stop_mode is None and callback.evaluate(trainer.state) and checkpoints.best:
        checkpoints.best = ""  # the weights as they are now are the best
    if callback.stop_mode != "now":
        logger.log("progress", step, phase="saving")
        checkpoints.write_final(step)
    outcome = "finished" if callback.stop_mode is None else "stopped"
    logger.log("end", step, outcome=outcome, saved=callback.stop_mode != "now")
    logger.close()


def _log_setup(logger: RunLogger, spec: RunSpec, rows: TrainingRows, model: nn.Module, precision: Precision) -> None:
    """Note what the run decided by itself, so that the page can show it."""
    trained = sum(whole_size(parameter) for parameter in model.parameters() if parameter.requires_grad)
    notes = [f"{trained:,} parameters learn, in {str(precision.dtype).removeprefix('torch.')} ({precision.because})"]
    notes += [f"{source.name}: {source.per_epoch:,} of {source.count:,} rows a pass" for source in rows.sources]
    if spec.resumed_from:
        notes.append(f"Goes on from {spec.resumed_from}")
    for text in notes:
        logger.log("note", 0, level="info", text=text)
    too_long = rows.too_long
    for count, done in ((too_long.left_out, "left out"), (too_long.shrunk, "shown with smaller images")):
        if count:
            text = f"{count:,} rows were {done}: too long, up to {too_long.longest_tokens:,} tokens"
            logger.log("note", 0, level="warning", text=text)
