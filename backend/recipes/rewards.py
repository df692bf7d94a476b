"""The rewards of a spec, made explicit: each one's version, and whether a dry run vouches for it."""

import importlib.util

from backend.errors import RewardError, SpecError, StudioError
from backend.rewards.contract import RewardSource
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.rewarding import RewardShare
from backend.spec.run import RunSpec


def resolve_rewards(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> list[RewardShare]:
    """Fill in each reward's version. What cannot be done is added to `problems`.

    A run that learns needs a dry run of every source as it is now; one that only looks is that dry run.
    """
    store = RewardStore(workspace)
    if not spec.grpo.rewards:
        problems.append(SpecError("No reward is chosen", hint="Choose one, or `--reward exact_match`"))
    if spec.grpo.vllm != "off" and importlib.util.find_spec("vllm") is None:
        problems.append(
            SpecError("`grpo.vllm` needs vLLM, which is not installed", hint="`pip install vllm`, or `off`")
        )
    shares = []
    for share in spec.grpo.rewards:
        try:
            source = _meant(store, share)
        except StudioError as error:
            problems.append(error)
            continue
        if spec.kind == "grpo" and not store.is_checked(source):
            problems.append(_unchecked(source))
        shares.append(share.model_copy(update={"sha256": source.sha256}))
    return shares


def unchecked(spec: RunSpec, workspace: Workspace) -> list[str]:
    """Names of the spec's rewards that no dry run vouches for as they are now. Raises NotFoundError."""
    store = RewardStore(workspace)
    meant = {share.name: _meant(store, share) for share in spec.grpo.rewards}
    return [name for name, source in meant.items() if not store.is_checked(source)]


def _meant(store: RewardStore, share: RewardShare) -> RewardSource:
    return store.version(share.name, share.sha256) if share.sha256 else store.get(share.name)


def _unchecked(source: RewardSource) -> RewardError:
    return RewardError(
        f"Reward `{source.name}` was not dry-run as it is now (version {source.sha256[:8]})",
        hint=f"`studio reward check {source.name} --dataset ...`, or Dry run on the Rewards page",
    )
