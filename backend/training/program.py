"""The road of one training run, from its spec to `final_model` and the `end` event."""

import json
import os
from dataclasses import fields
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments, set_seed

from backend.catalog.checkpoints import resolve_checkpoint
from backend.model.checkpoint import save_checkpoint
from backend.model.encoder import Encoder
from backend.model.loading import Precision, choose_precision, load_base
from backend.model.packing import pack
from backend.model.parts import apply_strategy
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.length import optimizer_steps
from backend.spec.reading import read_spec
from backend.spec.run import RunSpec
from backend.training.reporting import Reporter
from backend.training.rows import TrainingRows
from backend.training.sft import SftTrainer


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
    _say(events, "progress", 0, phase="loading")
    set_seed(spec.data.seed)
    base = resolve_checkpoint(spec.model.base, workspace).base_folder
    precision = choose_precision(spec.model.precision)
    encoder = Encoder(base, spec.model.min_pixels, spec.model.max_pixels)
    rows = TrainingRows(spec, workspace, encoder)
    model = _prepared(load_base(base, precision, quantised=spec.table.quantised), spec)
    _say_what(events, rows, model, precision)
    reporter = Reporter(spec, folder, encoder, events)
    trainer = SftTrainer(
        spec,
        rows,
        model=model,
        args=_arguments(spec, folder, precision, optimizer_steps(spec, rows.samples_in_pass)),
        data_collator=pack,
        callbacks=[reporter],
    )
    reporter.trainer = trainer
    trainer.train()
    _finish(trainer, reporter, encoder, spec, folder, events)


def _prepared(model: nn.Module, spec: RunSpec) -> nn.Module:
    """Freeze and adapt; with checkpointing, the frozen embeddings must still let gradients start behind them."""
    model.config.use_cache = False
    model = apply_strategy(model, spec)
    if spec.batching.gradient_checkpointing and spec.table.uses_lora:
        model.enable_input_require_grads()
    return model


def _arguments(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> TrainingArguments:
    optimiser, on_gpu = spec.optimiser, torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder.path / "trainer"),
        per_device_train_batch_size=spec.batching.batch_size,
        gradient_accumulation_steps=spec.batching.accumulation_steps,
        max_steps=steps,
        lr_scheduler_type=optimiser.schedule,
        warmup_steps=optimiser.warmup_ratio,
        max_grad_norm=optimiser.max_grad_norm,
        seed=spec.data.seed,
        bf16=precision.dtype == torch.bfloat16,
        use_cpu=not on_gpu,
        **_checkpointing(spec),
        deepspeed=json.loads(folder.deepspeed.read_text(encoding="utf-8")),
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=min(4, (os.cpu_count() or 1) - 1) if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        average_tokens_across_devices=True,
    )


def _checkpointing(spec: RunSpec) -> dict[str, Any]:
    """Never the reentrant kind: it loses the gradients of parts behind frozen inputs."""
    if not spec.batching.gradient_checkpointing:
        return {}
    known = {field.name for field in fields(TrainingArguments)}
    prefix = "activation" if "activation_checkpointing" in known else "gradient"  # renamed in transformers 5.2x
    return {f"{prefix}_checkpointing": True, f"{prefix}_checkpointing_kwargs": {"use_reentrant": False}}


def _finish(
    trainer: SftTrainer,
    reporter: Reporter,
    encoder: Encoder,
    spec: RunSpec,
    folder: RunFolder,
    events: EventWriter | None,
) -> None:
    step = trainer.state.global_step
    if reporter.stop_mode != "now" and trainer.is_world_process_zero():
        _say(events, "progress", step, phase="saving")
        save_checkpoint(trainer.unwrapped(), encoder, spec, folder.final_model, step)
    outcome = "finished" if reporter.stop_mode is None else "stopped"
    _say(events, "end", step, outcome=outcome, saved=reporter.stop_mode != "now")


def _say_what(events: EventWriter | None, rows: TrainingRows, model: nn.Module, precision: Precision) -> None:
    """Note what the run decided by itself, so that the page can show it."""
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    text = f"{trained:,} parameters learn, in {str(precision.dtype).removeprefix('torch.')} ({precision.because})"
    _say(events, "note", 0, level="info", text=text)
    for source in rows.sources:
        _say(
            events, "note", 0, level="info", text=f"{source.name}: {source.per_epoch:,} of {source.count:,} rows a pass"
        )
    if rows.left_out.count:
        text = f"{rows.left_out.count:,} rows were left out as too long (up to {rows.left_out.longest_tokens:,} tokens)"
        _say(events, "note", 0, level="warning", text=text)


def _say(events: EventWriter | None, kind: Any, step: int, **values: Any) -> None:
    if events is not None:
        events.write(kind, step, **values)
