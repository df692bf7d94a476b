"""The process group of a run, and the collectives that its processes meet in.

Every collective also works in a single process without a group. Where there are several, every one must call it at the
same moment, or the others wait.
"""

import os
from datetime import timedelta
from typing import TypeVar

import deepspeed
import torch
from torch import distributed

LONGEST_WAIT = timedelta(hours=2)  # of ranks for the one that writes a large checkpoint to a slow disk
Value = TypeVar("Value")


def join_group() -> int:
    """Start communication between the ranks that a launcher prepared: NCCL on GPUs, gloo on CPUs.

    DeepSpeed would compile its own shared-memory collective on CPUs, which takes 40 s and dies without a compiler;
    gloo does without. The group must stand before `TrainingArguments` is built, or ZeRO-3 mis-reads the world size.

    Returns:
        This process' rank.
    """
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    else:
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed(dist_backend="nccl" if has_gpu else "gloo", verbose=False, timeout=LONGEST_WAIT)
    return rank()


def leave_group() -> None:
    """Close the process group, so that no rank waits for another at exit."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def world_size() -> int:
    """How many processes train together."""
    return int(distributed.get_world_size()) if distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(distributed.get_rank()) if distributed.is_initialized() else 0


def summed(values: torch.Tensor) -> torch.Tensor:
    """Give the sum of a tensor over all processes, on its own device."""
    if world_size() == 1:
        return values
    on_device = values.to(_device())
    distributed.all_reduce(on_device)
    return on_device.to(values.device)


def gathered_objects(value: Value) -> list[Value]:
    """Give the picklable values of all processes, in the order of their ranks."""
    if world_size() == 1:
        return [value]
    values: list[Value] = [value] * world_size()
    distributed.all_gather_object(values, value)
    return values


def broadcast_number(number: int) -> int:
    """Give the first process' number on all of them."""
    if world_size() == 1:
        return number
    code = torch.tensor([number], dtype=torch.long, device=_device())
    distributed.broadcast(code, src=0)
    return int(code.item())


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        distributed.barrier()


def _device() -> str:
    return "cuda" if distributed.get_backend() == "nccl" else "cpu"
