"""Several samples in one forward pass: packed into a row without padding, or padded side by side."""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from backend.programs.model.encoder import IGNORED, Encoder, Sample

Batch = dict[str, Any]  # tensors, and the two lengths as numbers
# What a batch holds for the loss and the tally; the rest is the model's input.
NOT_FOR_THE_MODEL = ("shift_labels", "sources", "learned", "counts")


class Collator:
    """Makes micro-batches of samples; one without any, or which must show an image, gets a blank one."""

    def __init__(self, encoder: Encoder, *, packing: bool, needs_image: bool) -> None:
        """Choose the form.

        Args:
            encoder: makes the blank image.
            packing: one row without padding; else one row a sample.
            needs_image: every micro-batch must run the vision tower. Processes that share its gradients or weights
                wait for each other there, so one whose samples are all text would stop the others for ever.
        """
        self.blank, self.needs_image = encoder.blank(), needs_image
        self._form = pack if packing else pad

    def __call__(self, samples: list[Sample]) -> Batch:
        """Make one batch, as `pack` or `pad` returns it, with `counts` (2,): samples and tokens that are no filler."""
        is_blind = self.needs_image and not any(len(sample.grids) for sample in samples)
        batch = self._form([*samples, self.blank] if is_blind or not samples else samples)
        tokens = sum(sample.tokens for sample in samples)
        return batch | {"counts": torch.tensor([len(samples), tokens])}  # whole: DeepSpeed would round floats to bf16


def pack(samples: Sequence[Sample]) -> Batch:
    """Join samples into one row of S tokens; none sees another.

    Position ids are [4, 1, S]: text positions that restart at 0 with every sample (which is how transformers tells the
    samples of a row apart when there is no attention mask), then time, height and width. The forward must get
    `use_cache=False`: with the default an empty cache turns the separation off without a word.

    Returns:
        `input_ids` (1, S), `position_ids` (4, 1, S), `mm_token_type_ids` (1, S), `pixel_values` (P, 1176) and
        `image_grid_thw` (N, 3) where there are images, `logits_to_keep` (K,): the places whose next token is learned,
        `shift_labels` (K,): those next tokens, and `sources` (K,): the dataset each belongs to.
        `cu_seq_lens_q` and `cu_seq_lens_k` (samples + 1,) say where samples begin, `max_length_q` and `max_length_k`
        how long the longest is: attention then asks no layer's positions.
    """
    text = torch.cat([torch.arange(sample.tokens) for sample in samples])
    vision = torch.cat([sample.positions for sample in samples], dim=1)
    labels = torch.cat([_next_token(sample) for sample in samples])
    sources = torch.cat([torch.full((sample.tokens,), sample.source) for sample in samples])
    learned = (labels != IGNORED).nonzero()[:, 0]
    lengths = [sample.tokens for sample in samples]
    bounds = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32)
    return {
        "input_ids": torch.cat([sample.input_ids for sample in samples])[None],
        "position_ids": torch.cat([text[None], vision])[:, None],
        "mm_token_type_ids": torch.cat([sample.token_types for sample in samples])[None],
        "logits_to_keep": learned,
        "shift_labels": labels[learned],
        "sources": sources[learned],
        "cu_seq_lens_q": bounds,
        "cu_seq_lens_k": bounds,
        "max_length_q": max(lengths),
        "max_length_k": max(lengths),
    } | _images(samples)


def pad(samples: Sequence[Sample]) -> Batch:
    """Put B samples side by side, filled up at their ends to the longest of L tokens.

    Returns:
        As `pack`, in B rows, with `attention_mask` (B, L) and, instead of `logits_to_keep`, `learned` (B, L): whether
        the next token of a place is learned.
    """
    labels = _filled([_next_token(sample) for sample in samples], IGNORED)
    sources = torch.tensor([sample.source for sample in samples])[:, None].expand_as(labels)
    positions = [torch.cat([torch.arange(sample.tokens)[None], sample.positions]) for sample in samples]
    learned = labels != IGNORED
    return {
        "input_ids": _filled([sample.input_ids for sample in samples], 0),
        "attention_mask": _filled([torch.ones_like(sample.input_ids) for sample in samples], 0),
        "position_ids": torch.stack([_filled(list(axis), 0) for axis in zip(*positions, strict=True)]),
        "mm_token_type_ids": _filled([sample.token_types for sample in samples], 0),
        "learned": learned,
        "shift_labels": labels[learned],
        "sources": sources[learned],
    } | _images(samples)


def learned_logits(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Run a batch; the logits (K, vocabulary) at the places whose next token is learned, in the order of their labels.

    Packed, the head runs only there.
    """
    inputs = {name: value for name, value in batch.items() if name not in NOT_FOR_THE_MODEL}
    logits = model(**inputs, use_cache=False).logits  # with a cache, packed samples would see each other
    return logits[batch["learned"]] if "learned" in batch else logits[0]


def moved(batch: Batch, device: torch.device) -> Batch:
    """The batch with its tensors on `device`."""
    return {name: value.to(device) if torch.is_tensor(value) else value for name, value in batch.items()}


def _images(samples: Sequence[Sample]) -> Batch:
    grids = torch.cat([sample.grids for sample in samples])
    if not len(grids):
        return {}
    return {"pixel_values": torch.cat([sample.patches for sample in samples]), "image_grid_thw": grids}


def _filled(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return nn.utils.rnn.pad_sequence(list(rows), batch_first=True, padding_value=value)


def _next_token(sample: Sample) -> torch.Tensor:
    """Labels shifted by one, so that the last token of a sample never predicts the first of the next. Shape (T,)."""
    return torch.cat([sample.labels[1:], sample.labels.new_full((1,), IGNORED)])
