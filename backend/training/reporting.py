"""What a training run says while it runs: metrics, progress with time left, checkpoints; and how it hears a stop."""

import shutil
import time
from collections import deque
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from backend.model.checkpoint import save_checkpoint
from backend.model.encoder import Encoder
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.runs.records import StopMode, StopRecord
from backend.spec.run import RunSpec

WINDOW_STEPS = 20  # speed and time left are means over the last steps


class Reporter(TrainerCallback):
    """Writes events on rank 0; obeys `stop.json` on every rank."""

    def __init__(self, spec: RunSpec, folder: RunFolder, encoder: Encoder, events: EventWriter | None) -> None:
        """Take the events' writer on rank 0 and None elsewhere."""
        self._spec, self._folder, self._encoder, self._events = spec, folder, encoder, events
        self._rates: dict[str, float] = {}  # of the step under way; after it they are the next one's
        self._ends: deque[tuple[float, int]] = deque(maxlen=WINDOW_STEPS + 1)  # monotonic seconds, tokens so far
        self.trainer: Any = None  # set once the trainer exists; it counts the tokens
        self.stop_mode: StopMode | None = None

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock."""
        self.trainer.report_gradient_norm()
        self._ends.append((time.monotonic(), 0))
        self._say("progress", 0, phase="training", total_steps=state.max_steps)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Turn the Trainer's log of one step into a metric and a progress event."""
        if not logs or "loss" not in logs:
            return
        self._ends.append((time.monotonic(), self.trainer.tokens_seen))
        if state.global_step == 2:
            self._ends.popleft()
        (begun, tokens_before), (now, tokens) = self._ends[0], self._ends[-1]
        steps = len(self._ends) - 1
        seconds_per_step = (now - begun) / steps
        values = {"loss": logs["loss"], "grad_norm": float(logs.get("grad_norm", 0.0)), "epoch": logs.get("epoch", 0.0)}
        values |= self._rates
        values["samples_per_second"] = self._spec.samples_per_step / seconds_per_step
        values["tokens_per_second"] = (tokens - tokens_before) * args.world_size / (now - begun)
        left = (state.max_steps - state.global_step) * seconds_per_step
        self._say("metric", state.global_step, **values)
        self._say(
            "progress", state.global_step, phase="training", total_steps=state.max_steps, seconds_left=round(left, 1)
        )

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Note the rates of this step before the scheduler moves them on."""
        groups = self.trainer.optimizer.param_groups
        self._rates = {f"{group['name']}_rate": float(group["lr"]) for group in groups if "name" in group}

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        """Write a checkpoint where one is due, and stop where the studio asks for it."""
        every = self._spec.saving.every_steps
        if every and state.global_step % every == 0 and state.global_step < state.max_steps:
            self._checkpoint(state.global_step)
        mode = self._asked_to_stop(args)
        if mode is not None:
            self.stop_mode = mode
            control.should_training_stop = True
        return control

    def _checkpoint(self, step: int) -> None:
        if self._events is None:
            return
        name = f"checkpoint-{step}"
        self._say("progress", step, phase="saving")
        save_checkpoint(self.trainer.unwrapped(), self._encoder, self._spec, self._folder.path / name, step)
        self._say("checkpoint", step, name=name)
        self._remove_old()

    def _remove_old(self) -> None:
        """Keep the newest `saving.keep` checkpoints."""
        for old in self._folder.checkpoints()[: -self._spec.saving.keep]:
            hidden = old.with_name(f".{old.name}.removed")
            old.rename(hidden)
            shutil.rmtree(hidden)

    def _asked_to_stop(self, args: TrainingArguments) -> StopMode | None:
        """Read `stop.json` on rank 0 and tell all ranks, so that they leave the loop at the same step."""
        code = torch.zeros(1, device=args.device)
        if self._folder.stop.is_file() and args.process_index == 0:
            mode = StopRecord.model_validate_json(self._folder.stop.read_bytes()).mode
            code += 1 if mode == "save" else 2
        if args.world_size > 1:
            torch.distributed.broadcast(code, src=0)
        modes: dict[int, StopMode | None] = {0: None, 1: "save", 2: "now"}
        return modes[int(code.item())]

    def _say(self, kind: Any, step: int, **values: Any) -> None:
        if self._events is not None:
            self._events.write(kind, step, **values)
