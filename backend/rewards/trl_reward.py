"""Rewards as TRL and evaluations call them, each answered by its own limited worker; how often they fail."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.conversation import Message
from backend.errors import SpecError, StudioError
from backend.rewards.contract import RewardBatch, RewardFailure, RewardSource, Scores, named_version
from backend.rewards.sandbox.client import RewardWorker, WorkerLimits
from backend.runs.folder import FOLDER_MARKER, RUN_MARKER, RunFolder
from backend.spec.run import RunSpec

GIB = 1 << 30
MAX_LOST_IN_A_ROW = 3
REPORTED_METRICS = ("mean", "std", "error_rate", "seconds")  # of each reward; a person's metric goes beside them
IMAGES_COLUMN = "image_paths"  # rewards know them as `images`, a name by which TRL would take and encode them itself


class TrlReward:
    """One reward. TRL calls it like a function; it never raises for what the person's code does."""

    def __init__(self, source: RewardSource, limits: WorkerLimits, folder: RunFolder) -> None:
        """Take the source; its worker starts with the first batch, marked as a process of the run in `folder`."""
        self.__name__ = source.name
        marker = {RUN_MARKER: folder.run_id, FOLDER_MARKER: str(folder.path.resolve())}
        self._worker = RewardWorker(source, limits, marker=marker)
        self.last_scores: Scores = Scores(values=())  # what it said of this process' newest answers
        self.failed_in_a_row = 0  # batches of which no answer got a value, by mistake
        self.last_error = ""
        self._lost_in_a_row = 0
        self._lost_s = 0.0  # waited for nothing

    @property
    def worker(self) -> RewardWorker:
        """What it runs in."""
        return self._worker

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        completion_ids: Sequence[Sequence[int]] = (),
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Score B answers in TRL's conversational form. Returns B values; None where there is none."""
        columns = {("images" if name == IMAGES_COLUMN else name): values for name, values in columns.items()}
        columns.pop("log_extra", None)
        batch = RewardBatch(
            prompts=tuple(tuple(Message(**turn) for turn in prompt) for prompt in prompts),
            completions=tuple(completion[0]["content"] for completion in completions),
            completion_ids=tuple(tuple(ids) for ids in completion_ids),
            columns=columns,
            step=getattr(trainer_state, "global_step", 0),
            total_steps=max(0, getattr(trainer_state, "max_steps", 0)),
        )
        self.last_scores = scores = self._score(batch)
        self.failed_in_a_row = self.failed_in_a_row + 1 if scores.error_count == len(scores.values) else 0
        self.last_error = scores.first_error or self.last_error
        if log_metric is not None:
            self._log(scores, log_metric)
        return list(scores.values)

    def _score(self, batch: RewardBatch) -> Scores:
        """A worker that cannot start again is a failed batch: an error here would leave other processes waiting."""
        try:
            return self._worker.score(batch)
        except StudioError as error:
            lost = RewardFailure(kind="died", message=error.message)
            return Scores(values=(None,) * len(batch.completions), failure=lost)

    def score_unless_lost(self, batch: RewardBatch, *, is_dry_run: bool = False) -> Scores:
        """Score where one that keeps hanging would take hours: after three losses in a row it is not asked again.

        In a dry run, for which a person waits, a whole deadline that was waited for nothing is enough.
        """
        max_lost_s = self._worker.limits.seconds if is_dry_run else math.inf
        if self._lost_in_a_row < MAX_LOST_IN_A_ROW and self._lost_s < max_lost_s:
            self.last_scores = self._score(batch)
            is_lost = self.last_scores.failure is not None and self.last_scores.failure.kind in ("timeout", "died")
            self._lost_in_a_row = self._lost_in_a_row + 1 if is_lost else 0
            self._lost_s += self.last_scores.seconds if is_lost else 0.0
            return self.last_scores
        assert self.last_scores.failure is not None  # it was lost
        message = f"Not asked again: {self.last_scores.failure.message}"
        failure = self.last_scores.failure.model_copy(update={"message": message})
        return Scores(values=(None,) * len(batch.completions), failure=failure)

    def has_error(self, number: int) -> bool:
        """Whether this process' newest answer of that number has no value by mistake."""
        return self.last_scores.failure is not None or bool(
            self.last_scores.invalid and self.last_scores.invalid[number]
        )

    def close(self) -> None:
        """End its worker."""
        self._worker.close()

    def _log(self, scores: Scores, log_metric: Callable[[str, float], None]) -> None:
        name = self.__name__
        log_metric(f"rewards/{name}/error_rate", scores.error_count / max(1, len(scores.values)))
        log_metric(f"rewards/{name}/seconds", scores.seconds)
        for part, values in scores.parts.items():
            applied = [value for value in values if value is not None]
            if applied:
                log_metric(f"rewards/{name}/{part}/mean", sum(applied) / len(applied))
        for metric, value in scores.metrics.items():
            own = f"logged/{metric}" if metric in REPORTED_METRICS else metric
            log_metric(f"rewards/{name}/{own}", value)


def build_rewards(spec: RunSpec, folder: RunFolder, datasets: Sequence[Path]) -> list[TrlReward]:
    """The run's rewards, from the sources that lie in its own folder.

    Args:
        spec: names them.
        folder: of the run.
        datasets: folders whose images a reward may read.

    Raises:
        SpecError: a source is missing, or is not the one that the spec names.
    """
    limits = _limits(spec, datasets)
    return [TrlReward(_read_source(folder, share.name, share.sha256), limits, folder) for share in spec.grpo.rewards]


def build_own_metrics(
    spec: RunSpec, names: Sequence[str], folder: RunFolder, datasets: Sequence[Path]
) -> list[TrlReward]:
    """Metrics of the person's own, `name@sha256` each: rewards whose values are only looked at. Raises SpecError."""
    limits = _limits(spec, datasets)
    return [TrlReward(_read_source(folder, *named_version(name)), limits, folder) for name in names]


@contextmanager
def closing(rewards: Sequence[TrlReward]) -> Iterator[None]:
    """End the workers of these, whatever happens before."""
    try:
        yield
    finally:
        for reward in rewards:
            reward.close()


def build_reward_batch(completions: Sequence[str], columns: Sequence[dict[str, Any]]) -> RewardBatch:
    """B answers with the columns of their rows, as an own metric takes them."""
    names = [name for name in (columns[0] if columns else ()) if name != "prompt"]
    return RewardBatch(
        prompts=tuple(tuple(Message(**turn) for turn in row["prompt"]) for row in columns),
        completions=tuple(completions),
        columns={("images" if name == IMAGES_COLUMN else name): [row[name] for row in columns] for name in names},
    )


def _limits(spec: RunSpec, datasets: Sequence[Path]) -> WorkerLimits:
    knobs = spec.grpo
    return WorkerLimits(
        seconds=knobs.reward_seconds, memory_bytes=int(knobs.reward_memory_gb * GIB), readable=tuple(datasets)
    )


def _read_source(folder: RunFolder, name: str, sha256: str) -> RewardSource:
    path = folder.rewards / f"{name}.py"
    if not path.is_file():
        raise SpecError(f"The run's folder holds no reward `{name}`", hint="Start the run again")
    source = RewardSource(name, path.read_bytes().decode(), "own")  # line ends as they are
    if sha256 and source.sha256 != sha256:
        raise SpecError(f"Reward `{name}` in the run's folder was changed", hint="Start the run again")
    return source
