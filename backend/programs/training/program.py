"""The road of one training run, from its spec to `final_model` and the `end` event."""

from typing import Any

import torch
from torch import nn
from transformers import set_seed

from backend.catalog.checkpoints import STATE, resolve_checkpoint, resumable, verify
from backend.catalog.disk_space import disk_need
from backend.catalog.trainable_parameters import trained_table
from backend.datasets.store import DatasetStore
from backend.ids import DatasetName
from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import Base, Precision, choose_precision
from backend.programs.model.parts import whole_size
from backend.programs.model.prompts import heldout_questions
from backend.programs.training.build_trainer import TrainerMaker
from backend.programs.training.callbacks import Reporter
from backend.programs.training.checkpoint_manager import Checkpoints
from backend.programs.training.evaluation import Evaluator
from backend.programs.training.rows import TrainingRows
from backend.programs.training.run_logger import Teller, mirror_for
from backend.rewards.trl_reward import TrlReward, build_own_metrics, closing
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
    teller = Teller(events, mirror_for(spec, folder, is_first=events is not None))
    teller.say("progress", 0, phase="loading")
    set_seed(spec.data.seed)
    precision = choose_precision(spec.model.precision)
    base = resolve_checkpoint(spec.model.base, workspace).base_folder
    encoder, meter = Encoder(base, spec.model.min_pixels, spec.model.max_pixels), RowMeter(base)
    rows = TrainingRows(spec, workspace, encoder, meter)
    maker = TrainerMaker(spec, folder, Base(base, precision), encoder, rows)
    own = _own_metrics(spec, folder, workspace) if events is not None else []
    evaluator = Evaluator(spec, heldout_questions(spec, workspace, meter), encoder, maker.collator, own)
    need = disk_need(spec, trained_table(spec, workspace))
    checkpoints = Checkpoints(spec, folder, encoder, need)
    reporter = Reporter(spec, folder, maker.batches, evaluator, checkpoints, teller)
    with closing(own), maker.made(reporter) as trainer:
        reporter.take(trainer)
        _say_what(teller, spec, rows, trainer.model, precision)
        for text in trainer.notes():
            teller.say("note", 0, level="info", text=text)
        trainer.train(resume_from_checkpoint=_state_of(spec, workspace))
        _finish(trainer, reporter, checkpoints, teller)


def _own_metrics(spec: RunSpec, folder: RunFolder, workspace: Workspace) -> list[TrlReward]:
    """The person's own metrics, whose workers may read the images of the run's datasets."""
    store = DatasetStore(workspace)
    folders = [store.folder(DatasetName(share.name)) for share in spec.data.datasets]
    return build_own_metrics(spec, spec.evaluation.own_metrics, folder, folders)


def _state_of(spec: RunSpec, workspace: Workspace) -> str | None:
    """Where the optimizer of the checkpoint lies that this run goes on from, once every file of it was read whole."""
    if not spec.resumed_from:
        return None
    folder = resumable(spec.resumed_from, workspace)
    verify(folder)
    return str(folder / STATE)


def _finish(trainer: Any, reporter: Reporter, checkpoints: Checkpoints, teller: Teller) -> None:
    """Measure and save the final model unless the studio asked otherwise, and say how it ended."""
    step = trainer.state.global_step
    if reporter.is_stopped_early:
        text = f"Stopped early: {checkpoints.since_best} evaluations in a row were no better than `{checkpoints.best}`"
        teller.say("note", step, level="info", text=text)
    if reporter.stop_mode is None and reporter.evaluate(trainer.state) and checkpoints.best:
        checkpoints.best = ""  # the weights as they are now are the best
    if reporter.stop_mode != "now":
        teller.say("progress", step, phase="saving")
        checkpoints.write_final(step)
    outcome = "finished" if reporter.stop_mode is None else "stopped"
    teller.say("end", step, outcome=outcome, saved=reporter.stop_mode != "now")
    teller.close()


def _say_what(teller: Teller, spec: RunSpec, rows: TrainingRows, model: nn.Module, precision: Precision) -> None:
    """Note what the run decided by itself, so that the page can show it."""
    trained = sum(whole_size(parameter) for parameter in model.parameters() if parameter.requires_grad)
    said = [f"{trained:,} parameters learn, in {str(precision.dtype).removeprefix('torch.')} ({precision.because})"]
    said += [f"{source.name}: {source.per_epoch:,} of {source.count:,} rows a pass" for source in rows.sources]
    if spec.resumed_from:
        said.append(f"Goes on from {spec.resumed_from}")
    for text in said:
        teller.say("note", 0, level="info", text=text)
    found = rows.too_long
    for count, done in ((found.left_out, "left out"), (found.shrunk, "shown with smaller images")):
        if count:
            text = f"{count:,} rows were {done}: too long, up to {found.longest_tokens:,} tokens"
            teller.say("note", 0, level="warning", text=text)
