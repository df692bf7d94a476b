"""Answer many questions at once: greedily, as evaluations do, or drawn, as rewards are tried on."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from backend.model.encoder import Encoder, Sample
from backend.model.features import Features, as_model_input
from backend.spec.rewarding import GrpoKnobs


class Given(NamedTuple):
    """One answer."""

    text: str
    is_cut: bool  # it had not ended when it was as long as allowed
    tokens: int


# also against what a model's generation_config.json wishes: released ones penalise repetition
GREEDY: dict[str, Any] = {
    "do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0,
}  # fmt: skip


def drawing(knobs: GrpoKnobs) -> dict[str, Any]:
    """How answers are drawn while learning from rewards, in the words of `generate`."""
    return {
        "do_sample": True, "temperature": knobs.temperature, "top_p": knobs.top_p, "top_k": knobs.top_k,
        "repetition_penalty": knobs.repetition_penalty,
    }  # fmt: skip


@torch.no_grad()
def answer_batch(
    model: nn.Module, samples: Sequence[Sample], encoder: Encoder, max_new_tokens: int,
    sampling: dict[str, Any] | None = None,
) -> list[Given]:  # fmt: skip
    """Answer B questions together.

    Args:
        model: in eval mode, maybe wrapped by peft.
        samples: questions, encoded `for_answer`.
        encoder: of the same model.
        max_new_tokens: an answer that has not ended by then is cut.
        sampling: as `drawing` says it; by default the likeliest token each time.

    Returns:
        The answer to each question.
    """
    generator: Any = model
    ends = [encoder.end_id, encoder.tokenizer.pad_token_id]
    made = generator.generate(
        **left_padded(samples, encoder.tokenizer.pad_token_id, next(model.parameters()).device),
        **(sampling or GREEDY),
        max_new_tokens=max_new_tokens,
        eos_token_id=ends,
        pad_token_id=encoder.tokenizer.pad_token_id,
        suppress_tokens=[encoder.image_id],  # a picture's token that no picture belongs to
        use_cache=True,
    )
    longest = max(sample.tokens for sample in samples)
    answers = []
    for tokens in made[:, longest:].tolist():
        end = next((place for place, token in enumerate(tokens) if token in ends), None)
        text = encoder.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        answers.append(Given(text, end is None, len(tokens) if end is None else end))
    return answers


def left_padded(
    samples: Sequence[Sample], filler: int, device: torch.device, features: Sequence[Features] | None = None
) -> dict[str, Any]:
    """Fill up at the front, so that every answer begins at the same place; positions are made by transformers.

    Args:
        samples: B questions.
        filler: the token to fill up with.
        device: where the model is.
        features: of each question's pictures where they are known; else their patches are handed over.

    Returns:
        `input_ids`, `attention_mask` and `mm_token_type_ids` (B, longest), and the pictures in either form.
    """
    longest = max(sample.tokens for sample in samples)

    def filled(row: torch.Tensor, value: int) -> torch.Tensor:
        return torch.cat([row.new_full((longest - len(row),), value), row])

    inputs: dict[str, Any] = {
        "input_ids": torch.stack([filled(sample.input_ids, filler) for sample in samples]),
        "attention_mask": torch.stack([filled(torch.ones_like(sample.input_ids), 0) for sample in samples]),
        "mm_token_type_ids": torch.stack([filled(sample.token_types, 0) for sample in samples]),
    }
    grids = torch.cat([sample.grids for sample in samples])
    if len(grids):
        inputs["image_grid_thw"] = grids
    if len(grids) and features is None:
        inputs["pixel_values"] = torch.cat([sample.patches for sample in samples])
    moved = {name: value.to(device) for name, value in inputs.items()}
    return moved | (as_model_input(features) if features is not None else {})
