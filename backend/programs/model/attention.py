"""Attention within the samples of a packed row and within the windows of an image, without masks and padding.

Two functions are registered with transformers under names of ours; no class of transformers is changed. A model that
does not know them computes the same from the same batch, only slower.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear, scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

try:
    from torch.nn.attention.varlen import varlen_attn
except ImportError:  # a torch built without it
    varlen_attn = None


TEXT = "studio_varlen"
# The tower hands over all windows of a block at once only where the name contains `flash`.
VISION = "studio_flash_windows"
Attended = tuple[torch.Tensor, None]


def use_studio_attention(model: nn.Module) -> None:
    """Let a loaded Qwen2.5-VL attend sample by sample, window by window, and embed patches by a matrix product.

    Only this instance changes; neither name reaches a saved `config.json`.
    """
    AttentionInterface.register(TEXT, attend_samples)
    AttentionMaskInterface.register(TEXT, mask_unless_packed)
    AttentionInterface.register(VISION, attend_windows)
    model.set_attn_implementation({"text_config": TEXT, "vision_config": VISION})
    embedding = model.model.visual.patch_embed
    embedding.proj = PatchProjection(embedding.proj.weight)


class PatchProjection(nn.Module):
    """What a convolution does whose kernel is as large as its input: one matrix product, many times faster on CPUs.

    The weight keeps the convolution's name and its shape (width, channels, frames, height, width).
    """

    def __init__(self, weight: nn.Parameter) -> None:
        """Take over the convolution's parameter."""
        super().__init__()
        self.weight = weight

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Embed patches (P, channels, frames, height, width) as (P, width)."""
        return linear(patches.flatten(1), self.weight.flatten(1))


def mask_unless_packed(**options: Any) -> torch.Tensor | None:
    """Build the mask that `sdpa` would get, except for one packed row: `attend_samples` keeps its samples apart.

    transformers forbids the causal short cut and passes no attention mask exactly when it found a packed row.
    """
    is_packed = options.get("attention_mask") is None and not options.get("allow_is_causal_skip", True)
    if is_packed and not options.get("use_vmap", False) and options["batch_size"] == 1 and options["q_length"] > 1:
        return None
    return sdpa_mask(**options)


def attend_samples(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> Attended:
    """Attend causally within each sample of a packed row; anything else is left to `sdpa`.

    Args:
        module: the layer; its key and value heads may be fewer than its query heads.
        query: (1, heads, S, width).
        key: (1, key heads, S, width).
        value: as `key`.
        attention_mask: of padded batches and of some generation; None in a packed row.
        options: `cu_seq_lens_q` (samples + 1,), where samples begin, else `position_ids` (1, S) that fall back to 0.

    Returns:
        (1, S, heads, width), and None for the weights.
    """
    bounds = None if attention_mask is not None else _sample_bounds(query, key, options)
    if bounds is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    drop, scale = options.get("dropout", 0.0), options.get("scaling")
    if _has_kernel(query) and not drop:
        return _by_kernel(query, key, value, bounds, options, is_causal=True), None
    lengths = bounds.diff().tolist()
    shares_heads = key.shape[1] != query.shape[1]
    attended = [
        scaled_dot_product_attention(q, k, v, dropout_p=drop, is_causal=True, scale=scale, enable_gqa=shares_heads)
        for q, k, v in zip(query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True)
    ]
    return torch.cat(attended, 2).transpose(1, 2).contiguous(), None


def attend_windows(
    _module: nn.Module, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any
) -> Attended:
    """Attend within each window of the patches; windows of equal length run as one batch.

    Args:
        query: (1, heads, P, width).
        key: as `query`.
        value: as `query`.
        options: `cu_seq_lens_q` (windows + 1,) says where windows begin.

    Returns:
        (1, P, heads, width), and None for the weights.
    """
    bounds, drop, scale = options["cu_seq_lens_q"], options.get("dropout", 0.0), options.get("scaling")
    if _has_kernel(query) and not drop:
        return _by_kernel(query, key, value, bounds, options, is_causal=False), None
    lengths = bounds.diff().tolist()
    queries, keys, values = (every[0].split(lengths, 1) for every in (query, key, value))
    attended: list[torch.Tensor] = [query] * len(lengths)
    for windows in _of_equal_length(lengths):
        q, k, v = (torch.stack([parts[window] for window in windows]) for parts in (queries, keys, values))
        together = scaled_dot_product_attention(q, k, v, dropout_p=drop, scale=scale)
        for window, one in zip(windows, together.transpose(1, 2).unbind(0), strict=True):
            attended[window] = one
    return torch.cat(attended)[None], None


def _sample_bounds(query: torch.Tensor, key: torch.Tensor, options: dict[str, Any]) -> torch.Tensor | None:
    """Where the samples of a row begin, and its end; None where there is nothing to keep apart."""
    bounds: torch.Tensor | None = options.get("cu_seq_lens_q")
    positions: torch.Tensor | None = options.get("position_ids")
    if bounds is not None or positions is None or query.shape[0] != 1 or query.shape[2] != key.shape[2]:
        return bounds
    begins = (positions.reshape(-1).diff() != 1).nonzero()[:, 0] + 1
    if positions.numel() != query.shape[2] or not len(begins):
        return None
    return torch.cat([begins.new_zeros(1), begins, begins.new_full((1,), query.shape[2])]).int()


def _of_equal_length(lengths: list[int]) -> Iterator[list[int]]:
    """Group the indices of equal lengths, in the order of their first."""
    groups: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        groups.setdefault(length, []).append(index)
    return iter(groups.values())


def _has_kernel(query: torch.Tensor) -> bool:
    """Whether torch's own variable-length kernel takes this: bf16 or fp16 on a GPU of the Ampere kind or newer."""
    if varlen_attn is None or not query.is_cuda or query.dtype not in (torch.bfloat16, torch.float16):
        return False
    return torch.cuda.get_device_capability(query.device) >= (8, 0) and query.shape[-1] % 8 == 0


def _by_kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    options: dict[str, Any],
    *,
    is_causal: bool,
) -> torch.Tensor:
    """Attend with torch's variable-length kernel; (1, heads, S, width) in, (1, S, heads, width) out."""
    repeats = query.shape[1] // key.shape[1]
    rows = [every[0].transpose(0, 1) for every in (query, key, value)]
    if repeats > 1:
        rows[1:] = [row.repeat_interleave(repeats, 1) for row in rows[1:]]
    bounds = bounds.to(query.device, torch.int32)
    longest = int(options.get("max_length_q") or bounds.diff().max())
    window = (-1, 0) if is_causal else (-1, -1)
    attended: torch.Tensor = varlen_attn(
        *rows, bounds, bounds, longest, longest, scale=options.get("scaling"), window_size=window
    )
    return attended[None]
