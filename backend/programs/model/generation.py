"""Generate answers: many at once, greedily or sampled; or token by token, taking turns on one model."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import DynamicCache

from backend.programs.model.encoder import Encoder, Sample
from backend.programs.model.vision_features import Features, as_model_input
from backend.spec.grpo import GrpoKnobs
from backend.spec.sampling import SamplingParameters

# also against what a model's generation_config.json wishes: released ones penalise repetition
GREEDY: dict[str, Any] = {
    "do_sample": False, "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": 1.0,
}  # fmt: skip


class GeneratedAnswer(NamedTuple):
    """One answer."""

    text: str
    is_cut: bool  # it had not ended when it was as long as allowed
    tokens: int


def sampling_parameters(knobs: GrpoKnobs) -> dict[str, Any]:
    """How answers are drawn while learning from rewards, in the words of `generate`."""
    return {
        "do_sample": True,
        "temperature": knobs.temperature,
        "top_p": knobs.top_p,
        "top_k": knobs.top_k,
        "repetition_penalty": knobs.repetition_penalty,
    }


@torch.no_grad()
def answer_batch(
    model: nn.Module,
    samples: Sequence[Sample],
    encoder: Encoder,
    max_new_tokens: int,
    sampling: dict[str, Any] | None = None,
) -> list[GeneratedAnswer]:
    """Answer B questions together.

    Args:
        model: in eval mode, maybe wrapped by peft.
        samples: questions, encoded `for_answer`.
        encoder: of the same model.
        max_new_tokens: an answer that has not ended by then is cut.
        sampling: as `sampling_parameters` says it; by default the likeliest token each time.

    Returns:
        The answer to each question.
    """
    generator: Any = model
    ends = [encoder.end_id, encoder.tokenizer.pad_token_id]
    generated = generator.generate(
        **left_padded(samples, encoder.tokenizer.pad_token_id, next(model.parameters()).device),
        **(sampling or GREEDY),
        max_new_tokens=max_new_tokens,
        eos_token_id=ends,
        pad_token_id=encoder.tokenizer.pad_token_id,
        suppress_tokens=[encoder.image_id],  # an image's token that no image belongs to
        use_cache=True,
    )
    longest = max(sample.tokens for sample in samples)
    answers = []
    for tokens in generated[:, longest:].tolist():
        end = next((place for place, token in enumerate(tokens) if token in ends), None)
        text = encoder.tokenizer.decode(tokens[:end], skip_special_tokens=True)
        answers.append(GeneratedAnswer(text, end is None, len(tokens) if end is None else end))
    return answers


def left_padded(
    samples: Sequence[Sample], filler: int, device: torch.device, features: Sequence[Features] | None = None
) -> dict[str, Any]:
    """Fill up at the front, so that every answer begins at the same place; positions are made by transformers.

    Args:
        samples: B questions.
        filler: the token to fill up with.
        device: where the model is.
        features: of each question's images where they are known; else their patches are handed over.

    Returns:
        `input_ids`, `attention_mask` and `mm_token_type_ids` (B, longest), and the images in either form.
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


@torch.inference_mode()
def first_logits(model: nn.Module, sample: Sample, cache: DynamicCache) -> torch.Tensor:
    """Read the whole prompt. Fills `cache`; returns the logits of the next token, shape (vocabulary,)."""
    device = next(model.parameters()).device
    text = torch.arange(sample.tokens)[None]
    images = {}
    if len(sample.grids):
        images = {
            "pixel_values": sample.patches.to(device, next(model.parameters()).dtype),
            "image_grid_thw": sample.grids.to(device),
        }
    outputs = model(
        input_ids=sample.input_ids[None].to(device),
        position_ids=torch.cat([text, sample.positions])[:, None].to(device),
        mm_token_type_ids=sample.token_types[None].to(device),
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        **images,
    )
    return outputs.logits[0, -1].float()


@torch.inference_mode()
def next_logits(model: nn.Module, sample: Sample, cache: DynamicCache, token: int, position: int) -> torch.Tensor:
    """Read one more token, the `position`-th of the answer (from 1); returns the logits behind it, (vocabulary,)."""
    device = next(model.parameters()).device
    text = sample.tokens + position - 1
    rotary = int(sample.positions.max()) + position
    positions = torch.tensor([text, rotary, rotary, rotary], device=device)[:, None, None]
    outputs = model(
        input_ids=torch.tensor([[token]], device=device),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return outputs.logits[0, -1].float()


def choose(
    logits: torch.Tensor, sampling: SamplingParameters, chance: torch.Generator, read: torch.Tensor | None = None
) -> int:
    """Choose the next token from its logits (vocabulary,); `read` are all tokens so far, those of the prompt first."""
    warped = _warped(logits, sampling, read)
    if sampling.temperature <= 0:
        return int(warped.argmax())
    return int(torch.multinomial(warped.softmax(-1).cpu(), 1, generator=chance))


def _warped(logits: torch.Tensor, sampling: SamplingParameters, read: torch.Tensor | None) -> torch.Tensor:
    """Penalise what was read, then temperature, then the likeliest tokens only: in this order.

    Source: `RepetitionPenaltyLogitsProcessor`, `TemperatureLogitsWarper` and `TopPLogitsWarper` of transformers,
    generation/logits_process.py.
    """
    if sampling.repetition_penalty != 1 and read is not None:
        token_ids = read.to(logits.device)
        scores = logits[token_ids]
        punished = torch.where(scores < 0, scores * sampling.repetition_penalty, scores / sampling.repetition_penalty)
        logits = logits.scatter(0, token_ids, punished)
    if sampling.temperature <= 0:
        return logits
    logits = logits / sampling.temperature
    if sampling.top_p >= 1:
        return logits
    ordered, order = logits.sort()  # the likeliest last
    is_beyond = ordered.softmax(-1).cumsum(-1) <= 1 - sampling.top_p
    is_beyond[-1] = False
    return logits.masked_fill(is_beyond.scatter(0, order, is_beyond), float("-inf"))
