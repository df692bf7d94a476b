"""Make a spec explicit and possible before anything starts: rates, dataset versions, models; all problems at once."""

from typing import Any

from backend.catalog.checkpoints import resolve_checkpoint
from backend.catalog.trainable_parameters import rate_of
from backend.datasets.records import Statistics
from backend.errors import SpecError, StudioError
from backend.recipes.evaluation import resolve_evaluation
from backend.recipes.versions import dataset_versions, refuse_all, resolve_own_metrics, resolve_rewards
from backend.settings import Workspace
from backend.spec.grpo import RewardShare
from backend.spec.run import RunSpec
from backend.spec.training import DatasetShare


def resolve(spec: RunSpec, workspace: Workspace) -> RunSpec:
    """Fill in what the spec left to the studio.

    Returns:
        The spec with each trained part's learning rate, each dataset's version, and a name.

    Raises:
        SpecError: datasets or a model that are not there, datasets without training rows; every reason at once.
    """
    if spec.kind == "evaluation":
        return resolve_evaluation(spec, workspace)
    problems: list[StudioError] = []
    shares = dataset_versions(spec, workspace, problems, _no_training_rows)
    rewards = resolve_rewards(spec, workspace, problems) if spec.kind != "sft" else list(spec.grpo.rewards)
    own_metrics = resolve_own_metrics(spec, workspace, problems)
    try:
        checkpoint = resolve_checkpoint(spec.model.base, workspace)
        if checkpoint.adapter is not None and spec.kind != "reward_check":
            raise SpecError(
                f"`{spec.model.base}` is an adapter, not a whole model",
                hint=f"Start from `{checkpoint.base_folder.name}`, or from a run that trained the whole model",
            )
    except StudioError as error:
        problems.append(error)
    refuse_all(problems)
    return _filled(spec.with_values({"evaluation.own_metrics": own_metrics}), shares, rewards)


def _no_training_rows(name: str, counts: Statistics) -> SpecError | None:
    if counts.train_rows:
        return None
    return SpecError(
        f"`{name}` has no training rows, all of it is for validation or test",
        hint="Choose another dataset, or import it again with a smaller validation share",
    )


def _filled(spec: RunSpec, shares: list[DatasetShare], rewards: list[RewardShare]) -> RunSpec:
    changes: dict[str, Any] = {
        "data.datasets": [share.model_dump() for share in shares],
        "grpo.rewards": [share.model_dump() for share in rewards],
        "name": spec.name.strip() or _usual_name(spec)[:120],
    }
    rates = {
        "language_rate": rate_of(spec, "language"),
        "merger_rate": rate_of(spec, "merger"),
        "vision_rate": rate_of(spec, "vision"),
    }
    if spec.kind == "reward_check":
        return spec.with_values(changes)  # nothing learns
    changes |= {f"optimiser.{knob}": rate for knob, rate in rates.items() if rate is not None}
    return spec.with_values(changes)


def _usual_name(spec: RunSpec) -> str:
    kinds = {"sft": spec.strategy.name, "grpo": f"grpo {spec.strategy.name}", "reward_check": "dry run"}
    named = spec.data.datasets if spec.kind != "reward_check" else spec.grpo.rewards
    return f"{kinds[spec.kind]} {' + '.join(share.name for share in named)}"
