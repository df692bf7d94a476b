"""Dry runs of a reward: what one is asked, which was the last, and its report as the page shows it."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, NamedTuple

from pydantic import ValidationError

from backend.errors import NotFoundError, SpecError
from backend.recipes.library import load_recipe
from backend.rewards.contract import RewardSource
from backend.rewards.dry_run import EQUAL, DryRunReport, DryRunRow, DryRunWarning, ScoredAnswer, read_report
from backend.rewards.store import RewardStore
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
from backend.store.views import RunView
from studio.ui.i18n import Translate
from studio.ui.views import turns_view

RECIPE = "grpo"  # whose images, lengths and chance a dry run takes, as training will
MOST_ROWS, MOST_ANSWERS = 200, 128  # as the knobs say
View = dict[str, Any]


class DryRunRequest(NamedTuple):
    """What a person asks of a dry run."""

    dataset: str
    rows: int
    answers: int  # of the model to each question
    model: str


def dry_run_spec(source: RewardSource, request: DryRunRequest, t: Translate) -> RunSpec:
    """The run that looks at one version of a reward. Raises SpecError for numbers out of range."""
    for label, value, least, most in (
        ("check.rows", request.rows, 1, MOST_ROWS),
        ("check.answers", request.answers, 2, MOST_ANSWERS),
    ):
        if not isinstance(value, int | float) or not least <= value <= most or value != int(value):
            raise SpecError(
                t("check.bad_number", label=t(label), value=str(value)),
                hint=t("check.bad_number.hint", least=least, most=most),
            )
    return load_recipe(RECIPE).spec.with_values(
        {
            "kind": "reward_check",
            "name": t("check.run_name", name=source.name)[:120],
            "recipe": "",
            "data.datasets": [{"name": request.dataset}],
            "model.base": request.model,
            "grpo.rewards": [{"name": source.name, "sha256": source.sha256}],
            "grpo.generations": int(request.answers),
            "grpo.check_rows": int(request.rows),
        }
    )


def last_dry_run(runs: RunStore, rewards: RewardStore, source: RewardSource) -> str:
    """The newest dry run of this version alone, under way or over; empty without one."""
    for view in runs.views(kinds=("reward_check",)):
        if [share.sha256 for share in view.spec.grpo.rewards] == [source.sha256]:
            return str(view.id)
    record = rewards.dry_run_of(source.sha256)
    try:
        return str(runs.get(record.run_id).id) if record else ""
    except NotFoundError:
        return ""


def check_view(view: RunView) -> View:
    """How far a dry run is, and once it is over what it found."""
    try:
        report = read_report(view.folder.check) if view.is_over else None
    except (ValidationError, OSError):
        report = None
    return {
        "state": view.state,
        "is_over": view.is_over,
        "phase": view.phase,
        "step": view.step,
        "total_steps": view.total_steps,
        "reason": view.reason,
        "hint": view.hint,
        "report": report and _report_view(report),
    }


def _report_view(report: DryRunReport) -> View:
    answers = [answer for row in report.rows for answer in row.answers]
    spreads = [row.spread for row in report.rows if row.spread is not None]
    return {
        "rewards": [reward.name for reward in report.rewards],
        "checkpoint": report.checkpoint,
        "passed": report.passed,
        "groups": len(spreads),
        "flat": sum(spread < EQUAL for spread in spreads),
        "warnings": [_warning_view(warning, answers) for warning in report.warnings],
        "parts": list(dict.fromkeys(part for answer in answers for part in answer.parts)),
        "rows": [_row_view(row) for row in report.rows],
    }


def _warning_view(warning: DryRunWarning, answers: Sequence[ScoredAnswer]) -> View:
    gold = [answer.total for answer in answers if answer.kind == "gold" and answer.total is not None]
    problem = next((answer.problems[warning.reward] for answer in answers if warning.reward in answer.problems), "")
    return warning.model_dump() | {
        "gold": fmean(gold) if gold else None,
        "problem": problem,
    }


def _row_view(row: DryRunRow) -> View:
    images = [{"of": f"dataset/{row.dataset}", "name": path.removeprefix("images/")} for path in row.images]
    ranked = sorted(row.answers, key=lambda answer: (answer.total is None, -(answer.total or 0.0)))
    return {
        "row": row.row,
        "dataset": row.dataset,
        "turns": turns_view(row.prompt, images),
        "gold": row.gold,
        "is_flat": row.spread is not None and row.spread < EQUAL,
        "answers": [_answer_view(answer) for answer in ranked],
    }


def _answer_view(answer: ScoredAnswer) -> View:
    plain = answer.model_dump(exclude={"seconds", "problems"})
    return plain | {"ms": 1000 * answer.seconds, "problem": answer.problem}
