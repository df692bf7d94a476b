"""Habits of DeepSpeed's engine that are mended on the one engine of a run, before its first step."""

from typing import Any

from torch import nn


def tell_gradient_norm(engine: Any, max_grad_norm: float) -> None:
    """Let the engine tell the norm before clipping.

    In fp32 without ZeRO its `clip_fp32_gradients` drops the norm that torch hands back, and the engine then has none to
    tell. With ZeRO or bf16 the method is never called.
    """
    trained = [parameter for parameter in engine.module.parameters() if parameter.requires_grad]

    def clip() -> None:
        engine._global_grad_norm = nn.utils.clip_grad_norm_(trained, max_grad_norm, foreach=True)

    engine.clip_fp32_gradients = clip


def forget_dry_step(engine: Any) -> None:
    """Let Adam count from one.

    In bf16 and fp16 without ZeRO, DeepSpeed makes room for the optimizer's states by a step on gradients of zero. That
    step is counted, so that the first real ones would be corrected for the wrong number of steps and come out smaller.
    """
    if hasattr(engine.optimizer, "fp32_groups"):
        for state in engine.optimizer.optimizer.state.values():
            state["step"].zero_()


def unscale_gradient_norm(engine: Any) -> None:
    """Let the engine tell the norm of the gradients as they are.

    In fp16 without ZeRO its optimizer tells the norm of what is still multiplied by the loss scale.
    """
    optimizer = engine.optimizer
    if not hasattr(optimizer, "fp32_groups"):
        return
    unscale = optimizer.unscale_and_clip_grads

    def clip(total_norm: Any, *more: Any, **options: Any) -> Any:
        optimizer._global_grad_norm = total_norm / optimizer.loss_scale_config.cur_scale
        return unscale(total_norm, *more, **options)

    optimizer.unscale_and_clip_grads = clip


def keep_to_itself(engine: Any) -> None:
    """Let a single process without ZeRO not exchange gradients with itself: copying them there and back takes time."""
    if engine.dp_world_size == 1 and engine.zero_optimization_stage() == 0:
        engine.enable_backward_allreduce = False
