"""The answers that a model gives in a dry run, drawn as training would draw them."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import set_seed

from backend.catalog.checkpoints import Checkpoint
from backend.programs.model.adapters import ModelHost
from backend.programs.model.encoder import Encoder
from backend.programs.model.generation import answer_batch, sampling_parameters
from backend.programs.model.prompts import PromptRow
from backend.spec.run import RunSpec

ANSWERS_AT_ONCE = 32


def sample_answers(spec: RunSpec, checkpoint: Checkpoint, questions: Sequence[PromptRow]) -> Iterator[list[str]]:
    """Give G answers to each question, in order; the model is loaded for the first. Raises CheckpointError."""
    if spec.devices.threads:
        torch.set_num_threads(spec.devices.threads)
    set_seed(spec.data.seed)
    host = ModelHost(checkpoint.base_folder)
    encoder = Encoder(checkpoint.base_folder, spec.model.min_pixels, spec.model.max_pixels)
    with host.active_with_vision(host.prepare(checkpoint)) as model:
        for question in questions:
            yield _group_of(model, question, spec, encoder)


def _group_of(model: Any, question: PromptRow, spec: RunSpec, encoder: Encoder) -> list[str]:
    prompt = question.encoded(spec, encoder, for_answer=True)
    answers: list[str] = []
    while len(answers) < spec.grpo.generations:
        copies = [prompt] * min(ANSWERS_AT_ONCE, spec.grpo.generations - len(answers))
        longest = spec.grpo.max_completion_tokens
        answers += [
            generated.text
            for generated in answer_batch(model, copies, encoder, longest, sampling_parameters(spec.grpo))
        ]
    return answers
