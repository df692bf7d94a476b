"""The answers that a model gives in a dry run, drawn as training would draw them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import set_seed

from backend.catalog.checkpoints import Checkpoint
from backend.programs.model.adapters import ModelHost
from backend.programs.model.encoder import Encoder
from backend.programs.model.generation import answer_batch, drawing
from backend.programs.model.prompts import Question
from backend.spec.run import RunSpec

ANSWERS_AT_ONCE = 32


def sampled(spec: RunSpec, checkpoint: Checkpoint, questions: Sequence[Question]) -> Iterator[list[str]]:
    """Give G answers to each question, in order; the model is loaded for the first. Raises CheckpointError."""
    if spec.devices.threads:
        torch.set_num_threads(spec.devices.threads)
    set_seed(spec.data.seed)
    host = ModelHost(checkpoint.base_folder)
    encoder = Encoder(checkpoint.base_folder, spec.model.min_pixels, spec.model.max_pixels)
    with host.seeing_as(host.prepare(checkpoint)) as model:
        for question in questions:
            yield _drawn(model, question, spec, encoder)


def _drawn(model: Any, question: Question, spec: RunSpec, encoder: Encoder) -> list[str]:
    asked = question.encoded(spec, encoder, for_answer=True)
    answers: list[str] = []
    while len(answers) < spec.grpo.generations:
        copies = [asked] * min(ANSWERS_AT_ONCE, spec.grpo.generations - len(answers))
        longest = spec.grpo.max_completion_tokens
        answers += [given.text for given in answer_batch(model, copies, encoder, longest, drawing(spec.grpo))]
    return answers
