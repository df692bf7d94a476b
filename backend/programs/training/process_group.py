"""Join the process group that the DeepSpeed launcher prepared, without compiling anything at run time."""

import os
from datetime import timedelta

import deepspeed
import torch

LONGEST_WAIT = timedelta(hours=2)  # of ranks for the one that writes a large checkpoint to a slow disk


def join_group() -> int:
    """Start communication between the ranks: NCCL on GPUs, gloo on CPUs.

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
    return int(torch.distributed.get_rank())


def leave_group() -> None:
    """Close the process group, so that no rank waits for another at exit."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
