"""Where a run logs: always to its own events, and to Weights & Biases where the person wants that too."""

from typing import Any

from backend.runs.events import EventKind, EventWriter
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec


class RunLogger:
    """Logs on the first process, and nothing on the others."""

    def __init__(self, events: EventWriter | None, wandb_logger: "WandbLogger | None" = None) -> None:
        """Take the events' writer on the first process and None elsewhere."""
        self._events, self._wandb = events, wandb_logger

    def log(self, kind: EventKind, step: int, /, **values: Any) -> None:
        """Write one event; metrics go to Weights & Biases too."""
        if self._events is None:
            return
        self._events.write(kind, step, **values)
        if self._wandb is not None and kind == "metric":
            self._wandb.log(values, step)

    def close(self) -> None:
        """Let Weights & Biases finish."""
        if self._wandb is not None:
            self._wandb.close()


class WandbLogger:
    """A Weights & Biases run beside the local record. It gets numbers and settings, no rows and no images."""

    def __init__(self, spec: RunSpec, folder: RunFolder) -> None:
        """Start it: offline into the run's folder, or online with the key that `wandb login` left in the home folder.

        The studio never reads, hands on or writes a key.
        """
        import wandb  # noqa: PLC0415 - it takes a second that only its users should pay

        self._run = wandb.init(
            project=spec.reporting.project,
            name=spec.name,
            id=folder.run_id,
            dir=str(folder.path),
            mode="online" if spec.reporting.wandb == "online" else "offline",
            config=spec.model_dump(mode="json"),
            settings=wandb.Settings(console="off", disable_git=True, save_code=False, silent=True),
        )

    def log(self, values: dict[str, Any], step: int) -> None:
        """Send one step's numbers."""
        self._run.log(values, step=step)

    def close(self) -> None:
        """Finish it."""
        self._run.finish()


def wandb_logger_for(spec: RunSpec, folder: RunFolder, *, is_first: bool) -> WandbLogger | None:
    """The Weights & Biases logger that a spec asks for, on the first process."""
    return WandbLogger(spec, folder) if is_first and spec.reporting.wandb != "off" else None
