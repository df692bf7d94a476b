"""Build the trainer of a run: its training arguments, its rows and batches, and SFT or GRPO."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainingArguments
from trl import GRPOConfig
from trl.models.utils import prepare_deepspeed
from trl.trainer.utils import add_fused_lm_head

from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import ModelSource, Precision, load_base
from backend.programs.model.packing import Collator
from backend.programs.model.parts import apply_strategy
from backend.programs.model.prompts import dataset_folders
from backend.programs.training.batch_sampler import GrpoBatchSampler, SftBatchSampler
from backend.programs.training.distributed import rank, world_size
from backend.programs.training.grpo import GrpoData, GrpoTrainer
from backend.programs.training.rollouts import rollout_writer
from backend.programs.training.rows import TrainingRows
from backend.programs.training.sft import SftTrainer
from backend.rewards.trl_reward import build_rewards
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec

SCHEDULES = {"constant": "constant_with_warmup"}  # what transformers calls it; its own `constant` drops the warm-up


def training_arguments(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> TrainingArguments:
    """Translate `spec` for a run of so many optimizer steps; DeepSpeed's part is read from the run's deepspeed.json."""
    return TrainingArguments(**_shared(spec, folder, precision, steps))


def grpo_arguments(spec: RunSpec, folder: RunFolder, precision: Precision, steps: int) -> GRPOConfig:
    """The same for learning from rewards, with what TRL wants to know of sampling and rewards."""
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
        generation_kwargs=_generation_kwargs(spec),
        use_vllm=knobs.vllm == "colocate",
    )


def checkpointing(spec: RunSpec) -> dict[str, Any]:
    """Never the reentrant kind, which loses the gradients of parts behind frozen inputs, but where there is no other.

    ZeRO-3 with adapters is that place: the other kind finds "different metadata" when it computes again, because
    weights are gathered in between. There the inputs of every block are made to want a gradient.
    """
    argument_names = {field.name for field in fields(TrainingArguments)}
    prefix = (
        "activation" if "activation_checkpointing" in argument_names else "gradient"
    )  # renamed in transformers 5.2x
    if not spec.batching.gradient_checkpointing:
        return {f"{prefix}_checkpointing": False}  # said aloud: TRL's default is on
    reentrant = spec.devices.zero_stage == 3 and spec.table.uses_lora
    return {f"{prefix}_checkpointing": True, f"{prefix}_checkpointing_kwargs": {"use_reentrant": reentrant}}


class TrainerBuilder:
    """Holds what both kinds of trainer are made of."""

    def __init__(
        self, spec: RunSpec, folder: RunFolder, source: ModelSource, encoder: Encoder, rows: TrainingRows
    ) -> None:
        """Plan the run's micro-batches; nothing heavy is loaded yet."""
        self._spec, self._folder, self._source, self._encoder, self._rows = spec, folder, source, encoder, rows
        self.collator = Collator(encoder, packing=spec.batching.packing, needs_image=_needs_image(spec))
        sampler = GrpoBatchSampler if spec.kind == "grpo" else SftBatchSampler
        self.sampler: SftBatchSampler | GrpoBatchSampler = sampler(spec, rows, world_size(), rank())

    @contextmanager
    def build(self, callback: TrainerCallback) -> Iterator[Any]:
        """Load the model and make the trainer; what it has started ends with the block."""
        if isinstance(self.sampler, GrpoBatchSampler):
            yield from self._grpo(self.sampler, callback)
        else:
            arguments = training_arguments(self._spec, self._folder, self._source.precision, self.sampler.steps)
            yield SftTrainer(
                self._spec,
                self._rows,
                self.sampler,
                self.collator,
                model=self._model(),
                args=arguments,
                callbacks=[callback],
            )

    def _grpo(self, sampler: GrpoBatchSampler, callback: TrainerCallback) -> Iterator[GrpoTrainer]:
        spec, workspace = self._spec, Workspace(self._folder.path.parent.parent)
        arguments = grpo_arguments(spec, self._folder, self._source.precision, sampler.steps)
        rewards = build_rewards(spec, self._folder, dataset_folders(spec, workspace))
        is_first = rank() == 0
        write_rollouts = rollout_writer(self._folder, spec, self._rows.question, is_first=is_first)
        grpo_data = GrpoData(self._rows, sampler, self._encoder, self.collator)
        try:
            trainer = GrpoTrainer(
                spec, grpo_data, rewards, write_rollouts, model=self._model(), args=arguments, callbacks=[callback]
            )
            if spec.grpo.beta and spec.table.learns_in_full:  # there, adapters alone do not tell the models apart
                trainer.ref_model = self._reference(trainer)
            yield trainer
        finally:
            for reward in rewards:
                reward.close()

    def _model(self) -> nn.Module:
        """The model that learns. The arguments stand before it: ZeRO-3 spreads its weights while they are loaded."""
        spec = self._spec
        model = load_base(*self._source, quantised=spec.table.quantised)
        model.config.use_cache = False
        model = apply_strategy(model, spec)
        if spec.batching.gradient_checkpointing and spec.table.uses_lora:
            model.enable_input_require_grads()  # gradients must start behind frozen embeddings
        return model

    def _reference(self, trainer: GrpoTrainer) -> nn.Module:
        """The model it started from, which KL compares with; with adapters the trainer switches those off instead."""
        model = load_base(*self._source).requires_grad_(False).eval()
        add_fused_lm_head(model, temperature=trainer.temperature, outputs=("log_probs", "entropy"))
        if self._spec.devices.zero_stage == 3:
            return prepare_deepspeed(model, trainer.accelerator)
        return model.to(trainer.accelerator.device)


def _generation_kwargs(spec: RunSpec) -> dict[str, Any]:
    """What sampling needs besides: the model's own configuration says no to a cache; vLLM has its own."""
    return {"use_cache": True} if spec.grpo.vllm == "off" else {}


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


def _needs_image(spec: RunSpec) -> bool:
    """Whether every micro-batch must run the vision tower: nothing else learns, or processes meet there."""
    alone = world_size() == 1
    return spec.table.language == "frozen" or (
        not alone and (spec.devices.zero_stage == 3 or spec.table.vision != "frozen")
    )
