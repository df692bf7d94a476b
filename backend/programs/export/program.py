"""The road of one export: ask the checkpoint, merge, write, load again, ask the merged model, compare."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel

from backend.catalog.checkpoints import COMPLETE, CheckpointRecord, digests_of, pixel_bounds, resolve_checkpoint, verify
from backend.errors import CheckpointError
from backend.jsonl import write_atomically
from backend.programs.export.certificate import ModelAnswers, ask, is_near, questions_for, teacher_forced
from backend.programs.model.checkpoint import as_for_generation, synced_sizes, whole_or_absent, write_processor
from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import choose_precision, inference_device, load_base, load_checkpoint
from backend.runs.events import EventWriter
from backend.runs.export_request import ExportReport, ExportRequest, refuse_target
from backend.settings import Workspace


def export(request: ExportRequest, work: Path, events: EventWriter) -> None:
    """Carry out one export, and end with its report.

    Raises:
        StudioError: the checkpoint cannot be used, the target is taken, or the merged model answers otherwise; then
            nothing is left at the target.
    """
    target, workspace = Path(request.target), Workspace(Path(request.workspace))
    refuse_target(target)
    checkpoint = resolve_checkpoint(request.checkpoint, workspace)
    record, precision = verify(checkpoint.folder), choose_precision("auto")
    if checkpoint.adapter is not None:
        verify(checkpoint.base_folder)
    encoder = Encoder(checkpoint.base_folder, *pixel_bounds(record))
    questions = questions_for(checkpoint, workspace, work)
    events.write("progress", 0, phase="loading")
    model = load_checkpoint(checkpoint, precision).to(inference_device()).eval()
    before = ask(model, questions, encoder)
    is_exact = precision.dtype == torch.float32
    forced_answers = [] if is_exact else teacher_forced(model, questions, before.texts, encoder)
    events.write("progress", 0, phase="merging")
    merged: Any = model.merge_and_unload() if isinstance(model, PeftModel) else model
    with whole_or_absent(target) as partial:
        _write(merged, encoder, record, partial)
        del model, merged
        events.write("progress", 0, phase="comparing")
        whole = load_base(partial, precision).to(inference_device()).eval()
        after = ask(whole, questions, encoder)
        alike = [one == other for one, other in zip(before.texts, after.texts, strict=True)]
        if not is_exact:
            alike = [same or is_near(whole, forced) for same, forced in zip(alike, forced_answers, strict=True)]
        _refuse_others(before, after, alike)
        report = ExportReport(
            folder=str(target),
            questions=len(alike),
            same_answers=sum(alike),
            is_exact=is_exact,
            largest_difference=float((before.logits - after.logits).abs().max()),
            is_merged=checkpoint.adapter is not None,
            bytes=sum(synced_sizes(partial).values()),
        )
    events.write("end", 0, outcome="finished", report=report.model_dump())


def _write(model: Any, encoder: Encoder, record: CheckpointRecord | None, folder: Path) -> None:
    """Write a whole model that plain transformers loads, and the record of what it came from."""
    with as_for_generation(model) as whole:
        whole.save_pretrained(folder)
    write_processor(encoder, folder)
    if record is not None:
        sizes = synced_sizes(folder)
        changes = {"version": 2, "kind": "model", "sizes": sizes, "sha256": digests_of(folder, sizes)}
        merged_record = record.model_copy(update=changes)
        write_atomically(folder / COMPLETE, merged_record.model_dump_json(indent=1).encode())


def _refuse_others(before: ModelAnswers, after: ModelAnswers, alike: list[bool]) -> None:
    """Raise CheckpointError with the first question that is answered otherwise."""
    if not all(alike):
        first = alike.index(False)
        raise CheckpointError(
            f"The merged model answers {alike.count(False)} of {len(alike)} questions otherwise: "
            f"`{after.texts[first]}`, not `{before.texts[first]}`",
            hint="Nothing was written; keep the adapter, which loads beside its base model",
        )
