"""Pairs of settings that cannot work together, each with its reason; form, YAML and command line refuse alike."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backend.spec.run import RunSpec

# Keys of deepspeed.json that a knob owns: two truths would train something else than the page says.
DEEPSPEED_KEYS = {
    "train_batch_size": "batching.batch_size",
    "train_micro_batch_size_per_gpu": "batching.batch_size",
    "gradient_accumulation_steps": "batching.accumulation_steps",
    "gradient_clipping": "optimiser.max_grad_norm",
    "bf16": "model.precision",
    "fp16": "model.precision",
    "optimizer": "optimiser.language_rate",
    "scheduler": "optimiser.schedule",
    "zero_optimization.stage": "devices.zero_stage",
    "zero_optimization.offload_optimizer": "devices.offload_optimizer",
    "zero_optimization.offload_param": "devices.offload_parameters",
}


def conflicts_in(spec: "RunSpec") -> list[str]:
    """Every reason why the settings of `spec` contradict each other, in words; empty where they do not."""
    return [
        *_twice(spec),
        *_adapters(spec),
        *_zero(spec),
        *_batches(spec),
        *_evaluation(spec),
        *_overrides(spec),
        *(_groups(spec) if spec.kind == "grpo" else ()),
    ]


def _twice(spec: "RunSpec") -> Iterator[str]:
    for knob, shares in (("data.datasets", spec.data.datasets), ("grpo.rewards", spec.grpo.rewards)):
        names = [share.name for share in shares]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            yield f"`{knob}` names {', '.join(f'`{name}`' for name in twice)} twice; give one weight"


def _adapters(spec: "RunSpec") -> Iterator[str]:
    strategy = spec.strategy
    if spec.table.uses_lora:
        if strategy.lora_vision and spec.table.vision == "full":
            yield f"`strategy.lora_vision` cannot be on: `{strategy.name}` trains the vision tower in full already"
        return
    for knob in ("lora_vision", "dora", "rslora"):
        if getattr(strategy, knob):
            yield f"`strategy.{knob}` is on, but `{strategy.name}` adds no adapters; choose `lora` or `qlora`"


def _zero(spec: "RunSpec") -> Iterator[str]:
    devices, stage = spec.devices, spec.devices.zero_stage
    if stage == 3 and spec.table.quantised:
        yield "QLoRA cannot run with `devices.zero_stage` 3: ZeRO-3 cannot split 4-bit weights; take 2 or 0"
    if stage == 3 and spec.strategy.dora:
        yield "`strategy.dora` cannot run with `devices.zero_stage` 3: it measures whole weights, which ZeRO-3 splits"
    if stage == 3 and spec.table.vision == "lora" and spec.batching.gradient_checkpointing:
        yield (
            "`strategy.lora_vision` cannot run with `devices.zero_stage` 3 and gradient checkpointing: the kind of "
            "checkpointing that ZeRO-3 needs for adapters loses the gradients behind a frozen patch embedding"
        )
    if devices.offload_optimizer and stage == 0:
        yield "`devices.offload_optimizer` needs `devices.zero_stage` 2 or 3"
    if devices.offload_parameters and stage != 3:
        yield "`devices.offload_parameters` needs `devices.zero_stage` 3"
    if devices.gpus and devices.processes > 1:
        yield "`devices.processes` counts CPU processes; with `devices.gpus` there is one for each GPU"


def _batches(spec: "RunSpec") -> Iterator[str]:
    budget = spec.batching.max_tokens
    if budget and not spec.batching.packing:
        yield "`batching.max_tokens` fills packed rows; switch `batching.packing` on, or go by `batching.batch_size`"
    if budget and budget < spec.data.max_tokens:
        yield (
            f"`batching.max_tokens` is {budget:,}, but a sample may have `data.max_tokens` of "
            f"{spec.data.max_tokens:,}; raise the one or lower the other"
        )


def _groups(spec: "RunSpec") -> Iterator[str]:
    """Groups of answers must come out even, and GRPO's passes go by answers."""
    knobs, answers = spec.grpo, spec.samples_per_step * spec.grpo.reuse
    if answers % knobs.generations:
        yield (
            f"{answers} answers are drawn at a time (batch size x accumulation x processes x `grpo.reuse`), which is "
            f"no multiple of `grpo.generations`, {knobs.generations}"
        )
    if spec.batching.max_tokens:
        yield "`batching.max_tokens` cannot be set: learning from rewards goes by `batching.batch_size` answers a pass"
    if all(share.weight == 0 for share in knobs.rewards) and knobs.rewards:
        yield "Every weight in `grpo.rewards` is 0: nothing is paid for"
    if knobs.vllm != "off" and not spec.devices.gpus:
        yield "`grpo.vllm` needs a GPU: name some in `devices.gpus`"


def _evaluation(spec: "RunSpec") -> Iterator[str]:
    evaluates = spec.evaluation.rows and spec.evaluation.every_steps
    if spec.evaluation.patience and not evaluates:
        yield "`evaluation.patience` needs evaluations on the way: set `evaluation.every_steps` and `evaluation.rows`"
    if spec.saving.final == "best" and not evaluates:
        yield "`saving.final` best needs evaluations on the way: set `evaluation.every_steps` and `evaluation.rows`"


def _overrides(spec: "RunSpec") -> Iterator[str]:
    for path, knob in DEEPSPEED_KEYS.items():
        value: object = spec.devices.deepspeed
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if value is not None:
            yield f"`devices.deepspeed` may not say `{path}`: set `{knob}` instead"
