"""Images as the language model reads them, computed once and used by every answer about them."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from backend.programs.model.checkpoint import is_spread
from backend.programs.model.encoder import Sample

Features = tuple[torch.Tensor, ...]  # (cells, width) of each image of one sample


def takes_features(model: Any) -> bool:
    """Whether the model can be handed ready features: transformers knows how from 5.2x on."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "mm_encoder_outputs" in inspect.signature(type(base).forward).parameters


def tower_is_frozen(model: nn.Module) -> bool:
    """Whether nothing that makes features learns, so that they stay the same from step to step."""
    return not any(parameter.requires_grad for name, parameter in model.named_parameters() if ".visual." in f".{name}")


def may_share(model: nn.Module, *, is_gathered: bool) -> bool:
    """Whether features may be computed apart from the forward pass that uses them.

    A tower whose weights ZeRO-3 has spread must run within the pass: only there are they brought together. While
    answers are drawn they are together anyway (`is_gathered`).
    """
    return takes_features(model) and (is_gathered or not is_spread(model))


def features_of(model: Any, samples: Sequence[Sample]) -> list[Features]:
    """Run the vision tower once over the images of distinct samples; with gradients where they are on.

    Args:
        model: maybe wrapped by peft.
        samples: N, each with any number of images.

    Returns:
        For each sample the features of its images, in order.
    """
    counts = [len(sample.grids) for sample in samples]
    if not sum(counts):
        return [() for _ in samples]
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    device = next(base.parameters()).device
    patches = torch.cat([sample.patches for sample in samples]).to(device)
    grids = torch.cat([sample.grids for sample in samples]).to(device)
    features = base.get_image_features(patches, grids, return_dict=True).pooler_output
    ends = torch.tensor(counts).cumsum(0).tolist()
    return [tuple(features[end - count : end]) for end, count in zip(ends, counts, strict=True)]


def as_model_input(features: Sequence[Features]) -> dict[str, Any]:
    """What the forward pass takes in place of `pixel_values`; nothing where no sample has an image."""
    flat = [image for sample in features for image in sample]
    return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=flat)}} if flat else {}
