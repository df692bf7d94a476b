"""A run's `deepspeed.json`: the part of its spec that DeepSpeed reads, in DeepSpeed's own words."""

from typing import Any

from backend.spec.run import RunSpec

NEVER = 2**31  # steps between DeepSpeed's own progress lines: the run tells its progress itself


def deepspeed_config(spec: RunSpec) -> dict[str, Any]:
    """Translate `spec` for DeepSpeed: whole parameters on each process (ZeRO stage 0), the program's own optimizer.

    `auto` is filled in by the program, which knows what its GPU can do.
    """
    bf16: bool | str = "auto" if spec.model.precision == "auto" else spec.model.precision == "bf16"
    return {
        "train_micro_batch_size_per_gpu": spec.batching.batch_size,
        "gradient_accumulation_steps": spec.batching.accumulation_steps,
        "gradient_clipping": spec.optimiser.max_grad_norm,
        "bf16": {"enabled": bf16},
        "zero_optimization": {"stage": 0},
        "zero_allow_untested_optimizer": True,  # the optimizer is the program's, not one that DeepSpeed builds
        "steps_per_print": NEVER,
    }
