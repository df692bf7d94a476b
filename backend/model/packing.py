"""Several samples in one row, without padding: each keeps its own positions, so none sees another."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch

from backend.model.encoder import IGNORED, Sample

Batch = dict[str, Any]  # tensors, and the two lengths as numbers


def pack(samples: Sequence[Sample]) -> Batch:
    """Join samples into one row of S tokens.

    Position ids are [4, 1, S]: text positions that restart at 0 with every sample (which is how transformers tells the
    samples of a row apart when there is no attention mask), then time, height and width. The forward must get
    `use_cache=False`: with the default an empty cache turns the separation off without a word.

    Returns:
        `input_ids` (1, S), `position_ids` (4, 1, S), `mm_token_type_ids` (1, S), `pixel_values` (P, 1176) and
        `image_grid_thw` (N, 3) where there are pictures, `logits_to_keep` (K,): the places whose next token is learned,
        and `shift_labels` (K,): those next tokens. `cu_seq_lens_q` and `cu_seq_lens_k` (samples + 1,) say where samples
        begin, `max_length_q` and `max_length_k` how long the longest is: attention then asks no layer's positions.
    """
    starts = [torch.arange(sample.tokens) for sample in samples]
    text = torch.cat(starts)
    vision = torch.cat([sample.positions for sample in samples], dim=1)
    labels = torch.cat([_next_token(sample) for sample in samples])
    learned = (labels != IGNORED).nonzero()[:, 0]
    lengths = [sample.tokens for sample in samples]
    bounds = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    batch: Batch = {
        "input_ids": torch.cat([sample.input_ids for sample in samples])[None],
        "position_ids": torch.cat([text[None], vision])[:, None],
        "mm_token_type_ids": torch.cat([sample.token_types for sample in samples])[None],
        "logits_to_keep": learned,
        "shift_labels": labels[learned],
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    }
    grids = torch.cat([sample.grids for sample in samples])
    if len(grids):
        batch["pixel_values"] = torch.cat([sample.patches for sample in samples])
        batch["image_grid_thw"] = grids
    return batch


def _next_token(sample: Sample) -> torch.Tensor:
    """Labels shifted by one, so that the last token of a sample never predicts the first of the next. Shape (T,)."""
    return torch.cat([sample.labels[1:], sample.labels.new_full((1,), IGNORED)])
