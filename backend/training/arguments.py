"""A spec in the words of `transformers.TrainingArguments`."""

import json
import os
from dataclasses import fields
from typing import Any

import torch
from transformers import TrainingArguments
from trl import GRPOConfig

from backend.model.loading import Precision
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

SCHEDULES = {"constant": "constant_with_warmup"}  # what transformers calls it; its own `constant` drops the warm-up


def training_arguments(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> TrainingArguments:
    """Translate `spec` for a run of so many optimizer steps; DeepSpeed's part is read from the run's deepspeed.json."""
    return TrainingArguments(**_shared(spec, folder, precision, steps))


def grpo_arguments(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> GRPOConfig:
    """The same for learning from rewards, with what TRL wants to know of drawing and paying."""
    knobs = spec.grpo
    return GRPOConfig(
        **_shared(spec, folder, precision, steps) | {"dataloader_num_workers": 0},  # a question is a number
        num_generations=knobs.generations,
        max_completion_length=knobs.max_completion_tokens,
        steps_per_generation=spec.batching.accumulation_steps * knobs.reuse,
        num_iterations=knobs.iterations,
        temperature=knobs.temperature,
        top_p=knobs.top_p,
        top_k=knobs.top_k,
        repetition_penalty=knobs.repetition_penalty,
        loss_type=knobs.loss,
        importance_sampling_level=knobs.importance_sampling,
        scale_rewards=knobs.scale_rewards,
        multi_objective_aggregation=knobs.aggregation,
        epsilon=knobs.epsilon,
        epsilon_high=knobs.epsilon_high,
        delta=knobs.delta or None,
        mask_truncated_completions=knobs.mask_truncated,
        top_entropy_quantile=knobs.top_entropy,
        entropy_coef=knobs.entropy_bonus,
        reward_weights=[share.weight for share in knobs.rewards],
        generation_kwargs=_drawing_of(spec),
        use_vllm=knobs.vllm == "colocate",
    )


def _drawing_of(spec: RunSpec) -> dict[str, Any]:
    """What drawing needs besides: the model's own configuration says no to a cache; vLLM has its own."""
    return {"use_cache": True} if spec.grpo.vllm == "off" else {}


def checkpointing(spec: RunSpec) -> dict[str, Any]:
    """Never the reentrant kind, which loses the gradients of parts behind frozen inputs, but where there is no other.

    ZeRO-3 with adapters is that place: the other kind finds "different metadata" when it computes again, because
    weights are gathered in between. There the inputs of every block are made to want a gradient.
    """
    known = {field.name for field in fields(TrainingArguments)}
    prefix = "activation" if "activation_checkpointing" in known else "gradient"  # renamed in transformers 5.2x
    if not spec.batching.gradient_checkpointing:
        return {f"{prefix}_checkpointing": False}  # said aloud: TRL's default is on
    reentrant = spec.devices.zero_stage == 3 and spec.table.uses_lora
    return {f"{prefix}_checkpointing": True, f"{prefix}_checkpointing_kwargs": {"use_reentrant": reentrant}}


def _shared(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> dict[str, Any]:
    optimiser, on_gpu = spec.optimiser, torch.cuda.is_available()
    return {
        "output_dir": str(folder.path / "trainer"),
        "per_device_train_batch_size": spec.batching.batch_size,
        "gradient_accumulation_steps": spec.batching.accumulation_steps,
        "max_steps": steps,
        "lr_scheduler_type": SCHEDULES.get(optimiser.schedule, optimiser.schedule),
        "warmup_steps": optimiser.warmup_ratio,
        "max_grad_norm": optimiser.max_grad_norm,
        "seed": spec.data.seed,
        "bf16": precision.dtype == torch.bfloat16,
        "fp16": precision.dtype == torch.float16,
        "use_cpu": not on_gpu,
        "deepspeed": json.loads(folder.deepspeed.read_text(encoding="utf-8")),
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_num_workers": min(4, (os.cpu_count() or 1) - 1) if on_gpu else 0,
        "dataloader_pin_memory": on_gpu,
    } | checkpointing(spec)
