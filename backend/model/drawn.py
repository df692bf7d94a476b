"""Answers that were drawn, scored by the model that learns from them: log-probabilities of their tokens, packed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from backend.model.encoder import IGNORED, Sample
from backend.model.features import Features, as_model_input
from backend.model.packing import NOT_FOR_THE_MODEL, Collator, moved


class TokenScores(NamedTuple):
    """Of B answers of at most C tokens; 0 behind an answer's end."""

    log_probabilities: torch.Tensor  # (B, C)
    entropies: torch.Tensor  # (B, C), in nats


def answered(question: Sample, answer: torch.Tensor) -> Sample:
    """A question with its answer behind it, whose tokens (A,) are what is learned."""
    following = int(question.positions.max()) + 1
    places = following + torch.arange(len(answer))
    return replace(
        question,
        input_ids=torch.cat([question.input_ids, answer]),
        labels=torch.cat([torch.full_like(question.input_ids, IGNORED), answer]),
        token_types=torch.cat([question.token_types, torch.zeros_like(answer)]),
        positions=torch.cat([question.positions, places.expand(3, -1)], dim=1),
    )


def score_answers(
    model: Any, questions: Sequence[Sample], answers: torch.Tensor, mask: torch.Tensor, collator: Collator,
    features: Sequence[Features] | None = None,
) -> TokenScores:  # fmt: skip
    """Run one forward pass over B questions with their answers.

    Args:
        model: with TRL's fused head (`add_fused_lm_head`), maybe inside an engine.
        questions: as they were asked.
        answers: (B, C), filled up at their ends.
        mask: (B, C), 1 on the answers' own tokens.
        collator: packs or pads, as the spec says.
        features: of each question's pictures where they are shared; else every copy's patches go through the tower.
    """
    kept = mask.bool()
    rows = [
        answered(question, answer[own].cpu())
        for question, answer, own in zip(questions, answers, kept, strict=True)
    ]  # fmt: skip
    batch = moved(collator(rows), answers.device)
    inputs = {name: value for name, value in batch.items() if name not in (*NOT_FOR_THE_MODEL, "logits_to_keep")}
    if features is not None:
        inputs = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_grid_thw")}
        inputs |= as_model_input(features)
    learned = _learned_places(batch)
    labels = torch.full_like(batch["input_ids"], IGNORED).masked_scatter(learned, batch["shift_labels"])
    outputs = model(**inputs, shift_labels=labels, fused_lm_head=True)
    return TokenScores(*(_back(values[learned], kept) for values in (outputs.log_probs, outputs.entropy)))


def _learned_places(batch: dict[str, Any]) -> torch.Tensor:
    """Where the next token is learned, in the shape of `input_ids`."""
    if "learned" in batch:
        return batch["learned"]
    places = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    places[0, batch["logits_to_keep"]] = True
    return places


def _back(values: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    """Lay the values of all learned tokens, in order, out as (B, C)."""
    return values.new_zeros(kept.shape).masked_scatter(kept, values)
