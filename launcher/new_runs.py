"""A run begins as a folder: what is asked, what DeepSpeed is told, and copies of the rewards that pay in it."""

import json
import shutil
from datetime import datetime

from backend.deepspeed_config import deepspeed_config
from backend.errors import StudioError
from backend.ids import new_run_id
from backend.jsonl import write_atomically
from backend.rewards.sources import put_sources
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec


def new_folder(spec: RunSpec, workspace: Workspace) -> RunFolder:
    """Make the folder of a new run; its spec is written last, and before that it is no run.

    Raises:
        OSError: the disk refuses; nothing is left then.
        StudioError: a reward of the run is not there; nothing is left either.
    """
    datasets = [share.name for share in spec.data.datasets[:1]]
    run_id = new_run_id(spec.name or " ".join([spec.strategy.name, *datasets]), datetime.now().astimezone())
    folder, number = RunFolder(workspace.output / run_id), 1
    while True:
        try:
            folder.path.mkdir()
            break
        except FileExistsError:  # another of that name in the same second
            number += 1
            folder = RunFolder(workspace.output / f"{run_id}-{number}")
    try:
        if spec.kind != "evaluation":
            write_atomically(folder.deepspeed, json.dumps(deepspeed_config(spec), indent=2).encode())
        put_sources(spec, folder, workspace)
        write_atomically(folder.spec, spec.model_dump_json(indent=2).encode())
    except (OSError, StudioError):
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    return folder
