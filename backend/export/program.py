"""The road of one export: ask the checkpoint, merge, write, load again, ask the merged model, compare."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import nn
from transformers import DynamicCache

from backend.catalog.checkpoints import COMPLETE, CheckpointRecord, resolve_checkpoint, verify
from backend.catalog.digests import digests_of
from backend.errors import CheckpointError
from backend.export.questions import Question, questions_for
from backend.export.request import ExportReport, ExportRequest, refuse_target
from backend.jsonl import write_atomically
from backend.model.answering import first_logits
from backend.model.checkpoint import as_for_generation, synced_sizes, whole_or_absent, write_processor
from backend.model.encoder import Encoder
from backend.model.generating import answer_batch
from backend.model.loading import choose_precision, load_base, load_checkpoint
from backend.runs.events import EventWriter
from backend.settings import Workspace

LONGEST_ANSWER = 64  # tokens
DEFAULT_BOUNDS = (4 * 28 * 28, 1280 * 28 * 28)  # px, of a model that no run has trained


class Answers(NamedTuple):
    """What a model says to the questions."""

    texts: list[str]
    logits: torch.Tensor  # (questions, vocabulary), of the first token of each answer


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
    bounds = (record.min_pixels, record.max_pixels) if record else DEFAULT_BOUNDS
    encoder = Encoder(checkpoint.base_folder, *bounds)
    questions = questions_for(checkpoint, workspace, work)
    events.write("progress", 0, phase="loading")
    model = load_checkpoint(checkpoint, precision).to(_device()).eval()
    before = _ask(model, questions, encoder)
    events.write("progress", 0, phase="merging")
    merged: Any = model.merge_and_unload() if isinstance(model, PeftModel) else model
    with whole_or_absent(target) as partial:
        _write(merged, encoder, record, partial)
        del model, merged
        events.write("progress", 0, phase="comparing")
        after = _ask(load_base(partial, precision).to(_device()).eval(), questions, encoder)
        report = _report(target, partial, before, after, is_merged=checkpoint.adapter is not None)
    events.write("end", 0, outcome="finished", report=report.model_dump())


def _ask(model: nn.Module, questions: list[Question], encoder: Encoder) -> Answers:
    samples = [
        encoder.encode(question.messages, list(question.pictures), for_answer=True, name="a question")
        for question in questions
    ]
    texts = [answer_batch(model, [sample], encoder, LONGEST_ANSWER)[0].text for sample in samples]
    return Answers(texts, torch.stack([first_logits(model, sample, DynamicCache()).cpu() for sample in samples]))


def _write(model: Any, encoder: Encoder, record: CheckpointRecord | None, folder: Path) -> None:
    """Write a whole model that plain transformers loads, and the record of what it came from."""
    with as_for_generation(model) as whole:
        whole.save_pretrained(folder)
    write_processor(encoder, folder)
    if record is not None:
        sizes = synced_sizes(folder)
        said = {"version": 2, "kind": "model", "sizes": sizes, "sha256": digests_of(folder, sizes)}
        own = record.model_copy(update=said)
        write_atomically(folder / COMPLETE, own.model_dump_json(indent=1).encode())


def _report(target: Path, written: Path, before: Answers, after: Answers, *, is_merged: bool) -> ExportReport:
    """Compare. Raises CheckpointError with the first question that is answered otherwise."""
    pairs = list(zip(before.texts, after.texts, strict=True))
    same = sum(one == other for one, other in pairs)
    if same < len(pairs):
        one, other = next(pair for pair in pairs if pair[0] != pair[1])
        raise CheckpointError(
            f"The merged model answers {len(pairs) - same} of {len(pairs)} questions otherwise: `{other}`, not `{one}`",
            hint="Nothing was written; keep the adapter, or train at a higher precision and export again",
        )
    return ExportReport(
        folder=str(target),
        questions=len(pairs),
        same_answers=same,
        largest_difference=float((before.logits - after.logits).abs().max()),
        is_merged=is_merged,
        bytes=sum(synced_sizes(written).values()),
    )


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
