"""Errors a person can act on.

* StudioError
  x DatasetError     the uploaded data cannot be used as it is
  x SpecError        a setting is unknown, out of range, or contradicts another
  x LaunchError      a process could not be started, stopped or reached
  x CheckpointError  a model or checkpoint is missing, partial or of another architecture
  x RewardError      a reward keeps failing, or may not run
  x NotFoundError    no dataset, run, recipe, reward or model has that name

Everything else that is raised is a bug and keeps its traceback.
"""


class StudioError(Exception):
    """Carries `message` (what is wrong, where, with the value in backticks) and `hint` (what to do next)."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(f"{message}\nhint: {hint}")
        self.message = message
        self.hint = hint


class DatasetError(StudioError):
    """The uploaded data cannot be used as it is."""


class SpecError(StudioError):
    """A setting is unknown, out of range, or contradicts another."""


class LaunchError(StudioError):
    """A process could not be started, stopped or reached."""


class CheckpointError(StudioError):
    """A model or checkpoint is missing, partial or of another architecture."""


class RewardError(StudioError):
    """A reward keeps failing, or may not run."""


class NotFoundError(StudioError):
    """Nothing has that name."""
