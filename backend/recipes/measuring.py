"""The metrics of a spec, made explicit: which are the studio's, which a person's own, and in which version."""

import difflib

from backend.errors import SpecError, StudioError
from backend.metrics.names import FACTS
from backend.rewards.library import library_names
from backend.rewards.naming import NamedVersion, named
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.run import RunSpec

# what the trainers report themselves; the best checkpoint may be chosen by some of them
RESERVED = frozenset({
    "exact_match", "similarity", "box_iou", "eval_loss", "loss", "grad_norm", "epoch", "reward", "step", "kind",
})  # fmt: skip


def resolve_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The metrics of an evaluation, those of the person's own with their version. What is wrong joins `problems`.

    A name that the studio has and a person too means the studio's.
    """
    found = [named(text).name if named(text).name in FACTS else _own(text, workspace, problems)
             for text in spec.comparison.metrics]  # fmt: skip
    return _once([text for text in found if text], problems)


def resolve_own_metrics(spec: RunSpec, workspace: Workspace, problems: list[StudioError]) -> tuple[str, ...]:
    """The person's own metrics that a training reports, each with its version. What is wrong joins `problems`."""
    clashing = {share.name for share in spec.grpo.rewards} if spec.kind == "grpo" else set()
    wanted = [text for text in spec.evaluation.own_metrics if named(text).name not in clashing]
    for name in {named(text).name for text in wanted} & RESERVED:
        problems.append(SpecError(f"`{name}` is reported by every run", hint="Leave it out, or rename your own"))
    found = [_own(text, workspace, problems) for text in wanted if named(text).name not in RESERVED]
    return _once([text for text in found if text], problems)


def _once(texts: list[str], problems: list[StudioError]) -> tuple[str, ...]:
    """Each metric once; two versions of one cannot be told apart in tables."""
    texts = list(dict.fromkeys(texts))
    names = [named(text).name for text in texts]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(SpecError(f"`{name}` is named in two versions", hint="Name one of them"))
    return tuple(texts)


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
