"""A run's `deepspeed.json`: the part of its spec that DeepSpeed reads, in DeepSpeed's own words."""

from typing import Any

from backend.spec.run import RunSpec

NEVER = 2**31  # steps between DeepSpeed's own progress lines: the run tells its progress itself


def deepspeed_config(spec: RunSpec) -> dict[str, Any]:
    """Translate `spec` for DeepSpeed, with the spec's own overrides laid over it.

    `auto` is filled in by the program, which knows what its GPU can do.
    """
    generated = {
        "train_micro_batch_size_per_gpu": spec.batching.batch_size,
        "gradient_accumulation_steps": spec.batching.accumulation_steps,
        "gradient_clipping": spec.optimiser.max_grad_norm,
        "bf16": {"enabled": _is_on(spec, "bf16")},
        "fp16": {"enabled": spec.model.precision == "fp16"},
        "zero_optimization": _zero(spec),
        "zero_allow_untested_optimizer": True,  # the optimizer is the program's, not one that DeepSpeed builds
        "zero_force_ds_cpu_optimizer": False,  # also when its states rest in main memory: nothing is compiled
        "steps_per_print": NEVER,
    }
    return _laid_over(generated, spec.devices.deepspeed)


def _is_on(spec: RunSpec, precision: str) -> bool | str:
    return "auto" if spec.model.precision == "auto" else spec.model.precision == precision


def _zero(spec: RunSpec) -> dict[str, Any]:
    devices = spec.devices
    config: dict[str, Any] = {"stage": devices.zero_stage}
    if devices.zero_stage == 3:
        config["stage3_gather_16bit_weights_on_model_save"] = False  # checkpoints gather what they need themselves
    if devices.offload_optimizer:
        config["offload_optimizer"] = {"device": "cpu"}
    if devices.offload_parameters:
        config["offload_param"] = {"device": "cpu"}
    return config


def _laid_over(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
