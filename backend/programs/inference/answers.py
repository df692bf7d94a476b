"""One answer on its way: its place in the conversation, its cache, the text made so far."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from transformers import DynamicCache

from backend.catalog.checkpoints import resolve_checkpoint
from backend.chat_protocol import Ask, Piece
from backend.programs.model.adapters import ModelHost
from backend.programs.model.generation import Sampling, choose, first_logits, next_logits
from backend.settings import Workspace

HALF_A_CHARACTER = "\ufffd"  # a token may end in the middle of a UTF-8 character


def pieces(ask: Ask, host: ModelHost) -> Iterator[Piece]:
    """Answer, one token a step; several of these may take turns on one host.

    Raises:
        StudioError: the checkpoint, or an image, cannot be used.
    """
    checkpoint = resolve_checkpoint(ask.checkpoint, Workspace(Path(ask.workspace)))
    name, encoder = host.prepare(checkpoint), host.encoder(checkpoint)
    sample = encoder.encode(ask.messages, [Path(image) for image in ask.images], for_answer=True, name="the question")
    sampling = Sampling(ask.max_new_tokens, ask.temperature, ask.top_p, ask.seed, ask.repetition_penalty)
    ends = {encoder.end_id, encoder.tokenizer.pad_token_id}
    cache, chance = DynamicCache(), torch.Generator().manual_seed(ask.seed)
    with host.active_with_vision(name) as model:
        logits = first_logits(model, sample, cache)
    generated: list[int] = []
    started, sent = time.monotonic(), ""
    while True:
        token = choose(
            logits, sampling, chance, torch.cat([sample.input_ids, torch.tensor(generated, dtype=torch.long)])
        )
        if token in ends or len(generated) == ask.max_new_tokens:
            break
        generated.append(token)
        text = encoder.tokenizer.decode(generated, skip_special_tokens=True)
        if not text.endswith(HALF_A_CHARACTER):
            yield Piece(id=ask.id, text=text[len(sent) :], tokens=len(generated), seconds=time.monotonic() - started)
            sent = text
        logits = next_logits(host.activate(name), sample, cache, token, len(generated))
    reason: Literal["end", "length"] = "end" if token in ends else "length"
    rest = encoder.tokenizer.decode(generated, skip_special_tokens=True)[len(sent) :]
    seconds = time.monotonic() - started
    yield Piece(id=ask.id, text=rest, tokens=len(generated), seconds=seconds, is_last=True, reason=reason)
