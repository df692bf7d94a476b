"""Whether the merged model answers like the checkpoint: what both are asked, and how their answers compare."""

import random
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import nn
from transformers import DynamicCache

from backend.catalog.checkpoints import Checkpoint
from backend.conversation import Message
from backend.datasets.store import DatasetStore
from backend.demo.scenes import draw, make_scene
from backend.errors import StudioError
from backend.programs.model.encoder import Encoder, Sample
from backend.programs.model.generation import answer_batch, first_logits
from backend.programs.model.packing import learned_logits, moved, pad
from backend.settings import Workspace
from backend.spec.files import read_spec

QUESTIONS = 8
LONGEST_ANSWER = 64  # tokens
NEAR = 0.5  # logits between two tokens that rounding may exchange; bf16 tells logits of 16 to 32 apart by 0.125


class ExportQuestion(NamedTuple):
    """A conversation that waits for its answer."""

    messages: tuple[Message, ...]
    images: tuple[Path, ...]


def questions_for(checkpoint: Checkpoint, workspace: Workspace, work: Path) -> list[ExportQuestion]:
    """Choose up to 8 questions; drawn images are written to `work`."""
    try:
        spec = read_spec(checkpoint.folder.parent)
        candidates = [
            ExportQuestion(row.messages[:-1], tuple(store.folder(share.name) / name for name in row.images))
            for store in [DatasetStore(workspace)]
            for share in spec.data.datasets
            for row in store.rows(share.name, "validation", share.sha256)
            if row.messages[-1].role == "assistant"
        ]
    except (StudioError, ValueError):
        candidates = []
    chance = random.Random(0)
    return chance.sample(candidates, min(QUESTIONS, len(candidates))) if candidates else _demo_questions(work, chance)


class TeacherForcedAnswer(NamedTuple):
    """A question with its answer, and the token (K,) that the first model would say at each place of it."""

    sample: Sample
    choices: torch.Tensor


class ModelAnswers(NamedTuple):
    """What a model says to the questions."""

    texts: list[str]
    logits: torch.Tensor  # (questions, vocabulary), of the first token of each answer


def ask(model: nn.Module, questions: list[ExportQuestion], encoder: Encoder) -> ModelAnswers:
    """Let a model answer every question, always by its likeliest token."""
    samples = [
        encoder.encode(question.messages, list(question.images), for_answer=True, name="a question")
        for question in questions
    ]
    texts = [answer_batch(model, [sample], encoder, LONGEST_ANSWER)[0].text for sample in samples]
    return ModelAnswers(texts, torch.stack([first_logits(model, sample, DynamicCache()).cpu() for sample in samples]))


def teacher_forced(
    model: nn.Module, questions: list[ExportQuestion], texts: list[str], encoder: Encoder
) -> list[TeacherForcedAnswer | None]:
    """Read this model's own answers with teacher forcing; None where an answer cannot be read back."""
    return [_teacher_forced(model, question, text, encoder) for question, text in zip(questions, texts, strict=True)]


def is_near(model: nn.Module, forced: TeacherForcedAnswer | None) -> bool:
    """Whether a model would nowhere along the answer prefer another token by more than `NEAR`."""
    if forced is None:
        return False
    logits = _along(model, forced.sample)
    reference_logits = logits.gather(1, forced.choices[:, None])[:, 0]
    return bool((logits.amax(1) - reference_logits <= NEAR).all())


def _demo_questions(work: Path, chance: random.Random) -> list[ExportQuestion]:
    """Scenes of coloured shapes, and questions that any model can answer somehow."""
    texts = ("Describe the picture.", "What colours do you see?", "How many shapes are there?", "图中有什么？")
    questions = []
    for number in range(QUESTIONS):
        image: Image.Image = draw(make_scene(chance, 3), night=number % 2 == 1)
        path = work / f"{number}.png"
        image.save(path)
        text = f"<image>{texts[number % len(texts)]}"
        questions.append(ExportQuestion((Message(role="user", content=text),), (path,)))
    return questions


def _teacher_forced(
    model: nn.Module, question: ExportQuestion, text: str, encoder: Encoder
) -> TeacherForcedAnswer | None:
    images: list[Path] = list(question.images)
    try:
        answer = Message(role="assistant", content=text)
        sample = encoder.encode((*question.messages, answer), images, name="an answer")
    except StudioError:  # it holds what only a template may say
        return None
    return TeacherForcedAnswer(sample, _along(model, sample).argmax(1))


@torch.no_grad()
def _along(model: nn.Module, sample: Sample) -> torch.Tensor:
    """Logits (K, vocabulary) in fp32 where an answer's tokens follow."""
    batch = moved(pad([sample]), next(model.parameters()).device)
    return learned_logits(model, batch).float().cpu()
