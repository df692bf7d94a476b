"""A run's own copy of its rewards and own metrics: what was dry-run is what pays, whatever is edited later."""

import hashlib

from backend.jsonl import write_atomically
from backend.rewards.contract import RewardSource
from backend.rewards.naming import NamedVersion, named
from backend.rewards.store import RewardStore
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec


def put_sources(spec: RunSpec, folder: RunFolder, workspace: Workspace) -> None:
    """Write the source of each reward, and of each metric of the person's own, into the folder of a new run.

    A run that goes on from another takes that one's copies.

    Raises:
        NotFoundError: a reward, or its version, is gone.
        OSError: the disk refuses.
    """
    needed = needed_sources(spec)
    if not needed:
        return
    folder.rewards.mkdir()
    parent = RunFolder(workspace.output / spec.resumed_from.partition("/")[0]) if spec.resumed_from else None
    store = RewardStore(workspace)
    for share in needed:
        inherited = parent.rewards / f"{share.name}.py" if parent else None
        content = inherited.read_bytes() if inherited is not None and inherited.is_file() else b""
        if hashlib.sha256(content).hexdigest() != share.sha256:
            content = _source(store, share).text.encode()
        write_atomically(folder.rewards / f"{share.name}.py", content)


def needed_sources(spec: RunSpec) -> list[NamedVersion]:
    """Whose code a run calls, each once."""
    paying = [NamedVersion(share.name, share.sha256) for share in spec.grpo.rewards]
    wanted = paying if spec.kind in ("grpo", "reward_check") else []
    if spec.kind in ("sft", "grpo"):
        wanted = wanted + [named(text) for text in spec.evaluation.own_metrics]
    if spec.kind == "evaluation":
        wanted = [named(text) for text in spec.comparison.metrics if named(text).sha256]
    return list({source.name: source for source in wanted}.values())


def _source(store: RewardStore, share: NamedVersion) -> RewardSource:
    return store.version(share.name, share.sha256) if share.sha256 else store.get(share.name)
