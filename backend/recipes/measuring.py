"""The metrics of a spec, made explicit: which are the studio's, which a person's own, and in which version."""

import difflib

from backend.errors import SpecError, StudioError
from backend.metrics.names import FACTS
from backend.rewards.library import library_names
from backend.rewards.naming import NamedVersion, named
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.run import RunSpec


def resolve_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The metrics of an evaluation, those of the person's own with their version. What is wrong joins `problems`.

    A name that the studio has and a person too means the studio's.
    """
    return tuple(
        found
        for text in dict.fromkeys(spec.comparison.metrics)
        if (found := text if text in FACTS else _own(text, workspace, problems))
    )


def resolve_own_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The person's own metrics that a training reports, each with its version. What is wrong joins `problems`."""
    clashing = {share.name for share in spec.grpo.rewards} if spec.kind == "grpo" else set()
    wanted = [text for text in dict.fromkeys(spec.evaluation.own_metrics) if named(text).name not in clashing]
    return tuple(found for text in wanted if (found := _own(text, workspace, problems)))


def metric_choices(workspace: Workspace) -> list[str]:
    """Every name that can be chosen: the studio's metrics, then rewards, own and ready, that can serve as one."""
    rewards = [*RewardStore(workspace).names(), *library_names()]
    return [*FACTS, *(name for name in rewards if name not in FACTS)]


def _own(text: str, workspace: Workspace, problems: list[StudioError]) -> str:
    store, wanted = RewardStore(workspace), named(text)
    known = metric_choices(workspace)
    if wanted.name not in known:
        close = difflib.get_close_matches(wanted.name, known, n=1, cutoff=0.5)
        hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(known)}"
        problems.append(SpecError(f"No metric is called `{wanted.name[:80]}`", hint=hint))
        return ""
    try:
        source = store.version(*wanted) if wanted.sha256 else store.get(wanted.name)
    except StudioError as error:
        problems.append(error)
        return ""
    return NamedVersion(source.name, source.sha256).text
