"""Whether the merged model answers like the checkpoint: to the letter, or as near as its precision can tell.

In fp32 the answers must be the same. Merging rounds the sum of weights and adapters, which in bf16 is as coarse as many
an adapter's own part; there two tokens that were as likely as each other may change places. So an answer that differs
is read again along the first one's words: nowhere may the merged model prefer another token by more than a little.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from transformers import DynamicCache

from backend.conversation import Message
from backend.errors import StudioError
from backend.export.questions import Question
from backend.model.answering import first_logits
from backend.model.encoder import Encoder, Sample
from backend.model.generating import answer_batch
from backend.model.packing import learned_logits, moved, pad

LONGEST_ANSWER = 64  # tokens
NEAR = 0.5  # logits between two tokens that rounding may exchange; bf16 tells logits of 16 to 32 apart by 0.125


class Road(NamedTuple):
    """A question with its answer, and the token (K,) that the first model would say at each place of it."""

    sample: Sample
    choices: torch.Tensor


class Answers(NamedTuple):
    """What a model says to the questions."""

    texts: list[str]
    logits: torch.Tensor  # (questions, vocabulary), of the first token of each answer


def ask(model: nn.Module, questions: list[Question], encoder: Encoder) -> Answers:
    """Let a model answer every question, always by its likeliest token."""
    samples = [encoder.encode(question.messages, list(question.pictures), for_answer=True, name="a question")
               for question in questions]  # fmt: skip
    texts = [answer_batch(model, [sample], encoder, LONGEST_ANSWER)[0].text for sample in samples]
    return Answers(texts, torch.stack([first_logits(model, sample, DynamicCache()).cpu() for sample in samples]))


def roads_of(model: nn.Module, questions: list[Question], texts: list[str], encoder: Encoder) -> list[Road | None]:
    """The ways along this model's own answers; None where an answer cannot be read back."""
    return [_road(model, question, text, encoder) for question, text in zip(questions, texts, strict=True)]


def is_near(model: nn.Module, road: Road | None) -> bool:
    """Whether a model would nowhere on the road prefer another token by more than `NEAR`."""
    if road is None:
        return False
    logits = _along(model, road.sample)
    wanted = logits.gather(1, road.choices[:, None])[:, 0]
    return bool((logits.amax(1) - wanted <= NEAR).all())


def _road(model: nn.Module, question: Question, text: str, encoder: Encoder) -> Road | None:
    pictures: list[Path] = list(question.pictures)
    try:
        said = Message(role="assistant", content=text)
        sample = encoder.encode((*question.messages, said), pictures, name="an answer")
    except StudioError:  # it holds what only a template may say
        return None
    return Road(sample, _along(model, sample).argmax(1))


@torch.no_grad()
def _along(model: nn.Module, sample: Sample) -> torch.Tensor:
    """Logits (K, vocabulary) in fp32 where an answer's tokens follow."""
    batch = moved(pad([sample]), next(model.parameters()).device)
    return learned_logits(model, batch).float().cpu()
