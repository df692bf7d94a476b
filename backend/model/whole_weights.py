"""Bring together the weights that ZeRO-3 has spread over the processes, for a checkpoint."""

from collections.abc import Callable

import deepspeed
import torch
from torch import nn

Weights = dict[str, torch.Tensor]


def is_spread(model: nn.Module) -> bool:
    """Whether this process holds only pieces of the weights."""
    return any(hasattr(parameter, "ds_numel") for parameter in model.parameters())


def gathered(model: nn.Module, wanted: Callable[[str, nn.Parameter], bool], *, keeps: bool) -> Weights:
    """Gather the wanted weights one by one; every process must call.

    Args:
        model: as trained.
        wanted: by name and parameter.
        keeps: whether this process wants them; the others only take part.

    Returns:
        Name -> whole weight in main memory; empty where this process does not keep them.
    """
    found: Weights = {}
    for name, parameter in model.named_parameters():
        if wanted(name, parameter):
            with deepspeed.zero.GatheredParameters([parameter]):
                if keeps:
                    found[name] = parameter.detach().cpu().clone()
    return found
