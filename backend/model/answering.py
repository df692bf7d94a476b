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


def choose(logits: torch.Tensor, sampling: Sampling, chance: torch.Generator) -> int:
    """Choose the next token from its logits (vocabulary,)."""
    if sampling.temperature <= 0:
        return int(logits.argmax())
    probabilities = (logits / sampling.temperature).softmax(-1).cpu()
    ordered, tokens = probabilities.sort(descending=True)
    beyond = ordered.cumsum(-1) - ordered >= sampling.top_p
    ordered = ordered.masked_fill(beyond, 0.0)
    return int(tokens[torch.multinomial(ordered, 1, generator=chance)])
