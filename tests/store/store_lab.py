"""What the store's tests share."""

from pathlib import Path

from backend.ids import RunId
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec
from backend.store.runs import RunStore

RUN = RunId("20260101-000000-a")


def add_run(store: RunStore, run_id: str = RUN, **values: object) -> RunFolder:
    """Write a run's folder and add its row."""
    spec = RunSpec().with_values(dict(values))
    folder = RunFolder(store.workspace.output / run_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.spec.write_text(spec.model_dump_json())
    store.add(RunId(run_id), spec, 1.0)
    return folder


def write_losses(path: Path, losses: list[float], first_step: int = 1) -> None:
    """Append one metric event for each loss, as a program would."""
    writer = EventWriter(path)
    for step, loss in enumerate(losses, first_step):
        writer.write("metric", step, loss=loss)
    writer.close()


def curve(store: RunStore, run_id: str = RUN, key: str = "loss") -> list[tuple[int, float | None]]:
    """A run's whole curve as (step, value)."""
    (series,) = store.curves([RunId(run_id)], key).series
    return list(zip(series.steps, series.values, strict=True))
