"""Answer token by token, so that several answers can take turns on one model and any of them can be stopped."""

from dataclasses import dataclass

import torch
from torch import nn
from transformers import DynamicCache

from backend.model.encoder import Sample


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen."""

    max_new_tokens: int
    temperature: float  # 0 takes the likeliest token
    top_p: float  # with a temperature: sample from the likeliest tokens that hold this much probability
    seed: int
    repetition_penalty: float = 1.0  # above 1: tokens that were read or said before become less likely


@torch.inference_mode()
def first_logits(model: nn.Module, sample: Sample, cache: DynamicCache) -> torch.Tensor:
    """Read the whole prompt. Fills `cache`; returns the logits of the next token, shape (vocabulary,)."""
    device = next(model.parameters()).device
    text = torch.arange(sample.tokens)[None]
    pictures = {}
    if len(sample.grids):
        pictures = {
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
        **pictures,
    )
    return outputs.logits[0, -1].float()


@torch.inference_mode()
def next_logits(model: nn.Module, sample: Sample, cache: DynamicCache, token: int, made: int) -> torch.Tensor:
    """Read one more token, the `made`-th of the answer (from 1); returns the logits behind it, (vocabulary,)."""
    device = next(model.parameters()).device
    text = sample.tokens + made - 1
    rotary = int(sample.positions.max()) + made
    positions = torch.tensor([text, rotary, rotary, rotary], device=device)[:, None, None]
    outputs = model(
        input_ids=torch.tensor([[token]], device=device),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return outputs.logits[0, -1].float()


def choose(logits: torch.Tensor, sampling: Sampling, chance: torch.Generator, read: torch.Tensor | None = None) -> int:
    """Choose the next token from its logits (vocabulary,); `read` are all tokens so far, those of the prompt first."""
    warped = _warped(logits, sampling, read)
    if sampling.temperature <= 0:
        return int(warped.argmax())
    return int(torch.multinomial(warped.softmax(-1).cpu(), 1, generator=chance))


def _warped(logits: torch.Tensor, sampling: Sampling, read: torch.Tensor | None) -> torch.Tensor:
    """Penalise what was read, then temperature, then the likeliest tokens only: in this order.

    Source: `RepetitionPenaltyLogitsProcessor`, `TemperatureLogitsWarper` and `TopPLogitsWarper` of transformers,
    generation/logits_process.py.
    """
    if sampling.repetition_penalty != 1 and read is not None:
        known = read.to(logits.device)
        scores = logits[known]
        punished = torch.where(scores < 0, scores * sampling.repetition_penalty, scores / sampling.repetition_penalty)
        logits = logits.scatter(0, known, punished)
    if sampling.temperature <= 0:
        return logits
    logits = logits / sampling.temperature
    if sampling.top_p >= 1:
        return logits
    ordered, order = logits.sort()  # the likeliest last
    is_beyond = ordered.softmax(-1).cumsum(-1) <= 1 - sampling.top_p
    is_beyond[-1] = False
    return logits.masked_fill(is_beyond.scatter(0, order, is_beyond), float("-inf"))
