"""A run's own copy of its rewards: what was dry-run is what pays, whatever is edited later."""

import hashlib

from backend.jsonl import write_atomically
from backend.rewards.contract import RewardSource
from backend.rewards.store import RewardStore
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec


def put_sources(spec: RunSpec, folder: RunFolder, workspace: Workspace) -> None:
    """Write the source of each reward into the folder of a new run.

    A run that goes on from another takes that one's copies.

    Raises:
        NotFoundError: a reward, or its version, is gone.
        OSError: the disk refuses.
    """
    if spec.kind == "sft" or not spec.grpo.rewards:
        return
    folder.rewards.mkdir()
    parent = RunFolder(workspace.output / spec.resumed_from.partition("/")[0]) if spec.resumed_from else None
    store = RewardStore(workspace)
    for share in spec.grpo.rewards:
        inherited = parent.rewards / f"{share.name}.py" if parent else None
        content = inherited.read_bytes() if inherited is not None and inherited.is_file() else b""
        if hashlib.sha256(content).hexdigest() != share.sha256:
            content = _source(store, share.name, share.sha256).text.encode()
        write_atomically(folder.rewards / f"{share.name}.py", content)


def _source(store: RewardStore, name: str, sha256: str) -> RewardSource:
    return store.version(name, sha256) if sha256 else store.get(name)
