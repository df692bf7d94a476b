"""What a training run does between its steps: logs metrics, evaluates, saves, mends the engine, and hears a stop."""

import time
from collections import deque
from typing import Any

from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from backend.errors import RewardError
from backend.programs.training.base_trainer import StudioTrainer
from backend.programs.training.batch_sampler import GrpoBatchSampler, SftBatchSampler
from backend.programs.training.checkpoint_manager import CheckpointManager
from backend.programs.training.distributed import broadcast_number
from backend.programs.training.evaluation import EvaluationInterrupted, Evaluator
from backend.programs.training.grpo_warnings import MetricWarnings
from backend.programs.training.run_logger import RunLogger
from backend.runs.answers import write_predictions
from backend.runs.folder import RunFolder, StopMode, StopRecord
from backend.spec.run import RunSpec

WINDOW_STEPS = 20  # speed and time left are means over the last steps
_NOTHING, _SAVE, _NOW, _CHECKPOINT = range(4)  # what the first process tells the others after each step
_STOP_MODES: dict[int, StopMode] = {_SAVE: "save", _NOW: "now"}


def expose_gradient_norm(engine: Any, max_grad_norm: float) -> None:
    """Let the engine tell the norm before clipping.

    In fp32 without ZeRO its `clip_fp32_gradients` drops the norm that torch hands back, and the engine then has none to
    tell. With ZeRO or bf16 the method is never called.
    """
    trained = [parameter for parameter in engine.module.parameters() if parameter.requires_grad]

    def clip() -> None:
        engine._global_grad_norm = nn.utils.clip_grad_norm_(trained, max_grad_norm, foreach=True)

    engine.clip_fp32_gradients = clip


def reset_adam_steps(engine: Any) -> None:
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


def skip_lone_allreduce(engine: Any) -> None:
    """Let a single process without ZeRO not exchange gradients with itself: copying them there and back takes time."""
    if engine.dp_world_size == 1 and engine.zero_optimization_stage() == 0:
        engine.enable_backward_allreduce = False


class TrainingCallback(TrainerCallback):
    """Runs on every process; only the first one's logger writes anything."""

    def __init__(
        self,
        spec: RunSpec,
        folder: RunFolder,
        sampler: SftBatchSampler | GrpoBatchSampler,
        evaluator: Evaluator,
        checkpoints: CheckpointManager,
        logger: RunLogger,
    ) -> None:
        """Take what it works with; `bind` hands over the trainer once it exists."""
        self._spec, self._folder, self._sampler = spec, folder, sampler
        self._evaluator, self._checkpoints, self._logger = evaluator, checkpoints, logger
        self._rates: dict[str, float] = {}  # of the step under way; after it they are the next one's
        self._ends: deque[tuple[float, int, int]] = deque(maxlen=WINDOW_STEPS + 1)  # seconds, samples, tokens so far
        self._evaluated_at = -1
        self._warnings = MetricWarnings()
        self._trainer: StudioTrainer | None = None
        self.stop_mode: StopMode | None = None
        self.is_stopped_early = False
        self._is_disk_full = False

    def bind(self, trainer: StudioTrainer) -> None:
        """Learn of the trainer, which is made after its callbacks."""
        self._trainer = self._checkpoints.trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Measure the model as it is, then start the clock."""
        engine = self._running.model_wrapped
        expose_gradient_norm(engine, self._spec.optimiser.max_grad_norm)
        unscale_gradient_norm(engine)
        skip_lone_allreduce(engine)
        self._running.start_at(state.global_step)
        if not self._spec.resumed_from:
            reset_adam_steps(engine)
            self.evaluate(state)
        self._ends.append((time.monotonic(), 0, 0))
        self._logger.log("progress", state.global_step, phase="training", total_steps=state.max_steps)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Note the rates of this step before the scheduler moves them on."""
        groups = self._running.optimizer.param_groups
        self._rates = {f"{group['name']}_rate": float(group["lr"]) for group in groups if "name" in group}

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Turn the Trainer's log of one step into a metric and a progress event; then do what is due after it."""
        if not logs or "loss" not in logs:
            return
        state.log_history.clear()  # events.jsonl is the history; this one would grow into every checkpoint
        step = state.global_step
        totals = self._running.meter.pop_totals()
        seconds_per_step, speeds = self._speeds(step, totals.samples, totals.tokens)
        values: dict[str, float | None] = {"loss": logs["loss"], "grad_norm": float(logs.get("grad_norm", 0.0))}
        values |= {"epoch": self._sampler.epoch_after(step)} | self._rates | speeds
        values |= self._running.step_metrics(logs, totals)
        self._warn(step, self._running.new_warnings() + self._warnings.update(step, values))
        seconds_left = (state.max_steps - step) * seconds_per_step
        self._logger.log("metric", step, **values)
        self._logger.log(
            "progress", step, phase="training", total_steps=state.max_steps, seconds_left=round(seconds_left, 1)
        )
        self._after_step(args, state, control)

    def evaluate(self, state: TrainerState) -> bool:
        """Measure the model once at this step; tell whether it is the best so far."""
        step = state.global_step
        if not self._evaluator.has_rows or self._evaluated_at == step:
            return False
        started, self._evaluated_at = time.monotonic(), step
        self._logger.log("progress", step, phase="evaluating", total_steps=state.max_steps)
        try:
            result = self._evaluator.evaluate(self._running.unwrapped(), self._is_to_stop)
        except EvaluationInterrupted:
            self.stop_mode = _STOP_MODES[self._agreed_request(self._running.args)]
            return False
        if self._running.is_world_process_zero():
            write_predictions(self._folder.predictions, step, result.predictions)
        self._logger.log("metric", step, **result.metrics)
        self._logger.log("sample", step, rows=len(result.predictions))
        self._warn(step, self._warnings.update_evaluation(step, result.metrics) + result.troubles)
        self._exclude_time(time.monotonic() - started)
        return self._checkpoints.update_best(result.metrics)

    def _is_to_stop(self) -> bool:
        """Whether the studio wants the run to end, on all processes alike; an evaluation is not waited for then."""
        return self._agreed_request(self._running.args) in _STOP_MODES

    @property
    def _running(self) -> StudioTrainer:
        if self._trainer is None:
            raise RuntimeError("the trainer is not there yet")
        return self._trainer

    def _after_step(self, args: TrainingArguments, state: TrainerState, control: TrainerControl) -> None:
        """Evaluate and save where it is due, and stop where the studio, or patience, asks for it."""
        step, every = state.global_step, self._spec.evaluation.every_steps
        is_evaluated = bool(every) and step % every == 0
        is_best = is_evaluated and self.evaluate(state)
        request = self._agreed_request(args)  # after the evaluation: it may have been wished for meanwhile
        is_last = step >= state.max_steps
        if is_best or request in (_SAVE, _CHECKPOINT) or (self._checkpoints.is_due(step) and not is_last):
            self._save(state, is_best=is_best)
        if self._running.failure_reason:
            self._give_up(state)
        self.stop_mode = _STOP_MODES.get(request)
        patience = self._spec.evaluation.patience
        self.is_stopped_early = bool(patience) and self._checkpoints.since_best >= patience and not is_last
        if self.stop_mode is not None or self.is_stopped_early:
            control.should_training_stop = True

    def _save(self, state: TrainerState, *, is_best: bool = False) -> None:
        started, step = time.monotonic(), state.global_step
        shortage = self._checkpoints.disk.shortage()
        if broadcast_number(bool(shortage)):
            self._checkpoints.postpone(is_best=is_best)
            self._warn(step, [shortage] if shortage and not self._is_disk_full else [])
            self._is_disk_full = True
            return
        self._is_disk_full = False
        self._logger.log("progress", step, phase="saving", total_steps=state.max_steps)
        name = self._checkpoints.write(step, is_best=is_best)
        self._logger.log("checkpoint", step, name=name, is_best=is_best)
        self._exclude_time(time.monotonic() - started)

    def _give_up(self, state: TrainerState) -> None:
        """End the run with a checkpoint and the reason, rather than learn from noise for the rest of the night."""
        self._save(state)
        checkpoint = self._checkpoints.written
        hint = "Correct the reward, dry-run it and start again"
        hint += f"; `{checkpoint}` holds what was learned until then" if checkpoint else ""
        raise RewardError(self._running.failure_reason, hint=hint)

    def _warn(self, step: int, warnings: list[str]) -> None:
        for text in warnings:
            self._logger.log("note", step, level="warning", text=text)

    def _agreed_request(self, args: TrainingArguments) -> int:
        """Let the first process look at `stop.json` and the clock, so that all do the same at the same step."""
        return broadcast_number(self._stop_request() if args.process_index == 0 else _NOTHING)

    def _stop_request(self) -> int:
        if self._folder.stop.is_file():
            mode = StopRecord.model_validate_json(self._folder.stop.read_bytes()).mode
            return _SAVE if mode == "save" else _NOW
        return _CHECKPOINT if self._checkpoints.is_overdue() else _NOTHING

    def _speeds(self, step: int, samples: int, tokens: int) -> tuple[float, dict[str, float]]:
        """Seconds a step, and samples and tokens a second, over the last steps; the very first one only warms up."""
        _, samples_before, tokens_before = self._ends[-1]
        self._ends.append((time.monotonic(), samples_before + samples, tokens_before + tokens))
        if len(self._ends) == 3 and step > 1 and self._ends[0][1] == 0:
            self._ends.popleft()
        (oldest_s, samples_then, tokens_then), (newest_s, samples_now, tokens_now) = self._ends[0], self._ends[-1]
        seconds = max(1e-9, newest_s - oldest_s)
        speeds = {
            "samples_per_second": (samples_now - samples_then) / seconds,
            "tokens_per_second": (tokens_now - tokens_then) / seconds,
        }
        return seconds / (len(self._ends) - 1), speeds

    def _exclude_time(self, seconds: float) -> None:
        """Leave an evaluation's or checkpoint's time out of the speed of training."""
        self._ends = deque(
            ((at + seconds, samples, tokens) for at, samples, tokens in self._ends), maxlen=WINDOW_STEPS + 1
        )
