"""Which version of each dataset a run reads: decided once, when it is asked for."""

from collections.abc import Callable

from backend.datasets.records import Statistics
from backend.datasets.store import DatasetStore
from backend.errors import SpecError, StudioError
from backend.settings import Workspace
from backend.spec.inputs import DatasetShare
from backend.spec.run import RunSpec


def dataset_versions(
    spec: RunSpec,
    workspace: Workspace,
    problems: list[StudioError],
    lack: Callable[[str, Statistics], SpecError | None],
) -> list[DatasetShare]:
    """Bind every dataset of a spec to what it is now.

    Args:
        spec: of a run that has not started.
        workspace: where the datasets lie.
        problems: what cannot be is added here, all of it at once.
        lack: says what a dataset of this name lacks for the run, where it lacks something.
    """
    store, shares = DatasetStore(workspace), []
    if not spec.data.datasets:
        problems.append(SpecError("No dataset is chosen", hint="Choose one, or `--dataset NAME`"))
    for share in spec.data.datasets:
        try:
            manifest = store.get(share.name)
        except StudioError as error:
            problems.append(error)
            continue
        problem = lack(share.name, manifest.statistics)
        if problem is not None:
            problems.append(problem)
        shares.append(share.model_copy(update={"sha256": manifest.sha256}))
    return shares
