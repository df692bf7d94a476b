"""Pin what a spec names: the version of each dataset, reward and own metric; all problems at once."""

import difflib
import importlib.util
from collections.abc import Callable, Sequence

from backend.datasets.records import Statistics
from backend.datasets.store import DatasetStore
from backend.errors import RewardError, SpecError, StudioError
from backend.metrics.library import METRICS
from backend.rewards.builtin_library import builtin_names
from backend.rewards.contract import NamedVersion, RewardSource, named_version
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.grpo import RewardShare
from backend.spec.run import RunSpec
from backend.spec.training import DatasetShare

# what the trainers report themselves; the best checkpoint may be chosen by some of them
RESERVED = frozenset({
    "exact_match", "similarity", "box_iou", "eval_loss", "loss", "grad_norm", "epoch", "reward", "step", "kind",
})  # fmt: skip


def refuse_all(problems: Sequence[StudioError]) -> None:
    """Raise one SpecError that says all of them; nothing where there is none."""
    if problems:
        message = "; ".join(problem.message for problem in problems)
        raise SpecError(message, hint=" / ".join(dict.fromkeys(problem.hint for problem in problems)))


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


def resolve_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The metrics of an evaluation, those of the person's own with their version. What is wrong joins `problems`.

    A name that the studio has and a person too means the studio's.
    """
    metrics = [
        named_version(text).name if named_version(text).name in METRICS else _own(text, workspace, problems)
        for text in spec.comparison.metrics
    ]
    return _once([text for text in metrics if text], problems)


def resolve_own_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The person's own metrics that a training reports, each with its version. What is wrong joins `problems`."""
    clashing = {share.name for share in spec.grpo.rewards} if spec.kind == "grpo" else set()
    texts = [text for text in spec.evaluation.own_metrics if named_version(text).name not in clashing]
    for name in {named_version(text).name for text in texts} & RESERVED:
        problems.append(SpecError(f"`{name}` is reported by every run", hint="Leave it out, or rename your own"))
    metrics = [_own(text, workspace, problems) for text in texts if named_version(text).name not in RESERVED]
    return _once([text for text in metrics if text], problems)


def metric_choices(workspace: Workspace) -> list[str]:
    """Every name that can be chosen: the studio's metrics, then rewards, own and ready, that can serve as one."""
    rewards = [*RewardStore(workspace).names(), *builtin_names()]
    return [*METRICS, *(name for name in rewards if name not in METRICS)]


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


def _once(texts: list[str], problems: list[StudioError]) -> tuple[str, ...]:
    """Each metric once; two versions of one cannot be told apart in tables."""
    texts = list(dict.fromkeys(texts))
    names = [named_version(text).name for text in texts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(SpecError(f"`{name}` is named in two versions", hint="Name one of them"))
    return tuple(texts)


def _own(text: str, workspace: Workspace, problems: list[StudioError]) -> str:
    store, metric = RewardStore(workspace), named_version(text)
    choices = metric_choices(workspace)
    if metric.name not in choices:
        close = difflib.get_close_matches(metric.name, choices, n=1, cutoff=0.5)
        hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(choices)}"
        problems.append(SpecError(f"No metric is called `{metric.name[:80]}`", hint=hint))
        return ""
    try:
        source = store.version(*metric) if metric.sha256 else store.get(metric.name)
    except StudioError as error:
        problems.append(error)
        return ""
    return NamedVersion(source.name, source.sha256).text


def _meant(store: RewardStore, share: RewardShare) -> RewardSource:
    return store.version(share.name, share.sha256) if share.sha256 else store.get(share.name)


def _unchecked(source: RewardSource) -> RewardError:
    return RewardError(
        f"Reward `{source.name}` was not dry-run as it is now (version {source.sha256[:8]})",
        hint=f"`studio reward check {source.name} --dataset ...`, or Dry run on the Rewards page",
    )
