"""A dry run: score real rows before anything is trained. Gold answers, the model's own, and ones not worth a penny.

`python -m backend.programs.training.reward_dry_run RUN_DIR`, started by the launcher. A person waits for it: rewards
are asked about what is known while the training stack is imported and the model loaded.
"""

import random
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from statistics import pstdev
from typing import Any

from backend.catalog.checkpoints import resolve_checkpoint
from backend.conversation import Message
from backend.errors import DatasetError
from backend.programs.model.prompts import PromptRow, dataset_folders, questions_of
from backend.rewards.contract import RewardBatch, Scores
from backend.rewards.dry_run import (
    AnswerKind,
    DryRunReport,
    DryRunReward,
    DryRunRow,
    ScoredAnswer,
    adversaries,
    find_warnings,
    no_spread_share,
    weighted_total,
    write_report,
)
from backend.rewards.store import RewardStore
from backend.rewards.trl_reward import IMAGES_COLUMN, TrlReward, build_rewards
from backend.row_length import RowMeter
from backend.runs.events import EventWriter, run_to_end
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.files import read_spec
from backend.spec.run import RunSpec

REPORT_CHARACTERS = 2000  # of an answer in the report
GRAVE = ("fails", "never_applies")  # warnings with which nothing should be learned from


def check_rewards(folder: RunFolder, events: EventWriter) -> None:
    """Score rows as the spec of `folder` says, write `check.json`, and vouch for the sources that passed.

    Raises:
        StudioError: the model, the rows or a source are not there.
    """
    spec, workspace = read_spec(folder.path), Workspace(folder.path.parent.parent)
    events.write("progress", 0, phase="loading")
    rewards = build_rewards(spec, folder, dataset_folders(spec, workspace))
    try:
        report = _report(spec, workspace, rewards, events)
    finally:
        for reward in rewards:
            reward.close()
    write_report(folder.check, report)
    for warning in report.warnings:
        events.write("note", 0, level="warning", text=warning.text)
    reward_store = RewardStore(workspace)
    for checked in report.rewards:
        about = [warning for warning in report.warnings if warning.reward in ("", checked.name)]
        passed = not any(warning.reward and warning.code in GRAVE for warning in about)
        reward_store.record_dry_run(checked.sha256, folder.run_id, passed=passed, warnings=len(about))
    events.write("end", len(report.rows), outcome="finished", saved=True)


def _report(spec: RunSpec, workspace: Workspace, rewards: Sequence[TrlReward], events: EventWriter) -> DryRunReport:
    checkpoint = resolve_checkpoint(spec.model.base, workspace)
    questions = chosen_questions(spec, workspace, RowMeter(checkpoint.base_folder))
    with _beside() as scoring:
        reference_scores = [scoring.submit(_score_reference_answers, question, spec, rewards) for question in questions]
        from backend.programs.training.rollouts import sample_answers  # noqa: PLC0415 - takes seconds, in which rewards are asked already

        sampled_scores, samples = [], sample_answers(spec, checkpoint, questions)
        for number, question in enumerate(questions):
            events.write("progress", number, phase="checking", total_steps=len(questions))
            sampled_scores.append(
                scoring.submit(_scored, "sample", next(samples), question.columns(spec), spec, rewards)
            )
        rows = [
            _checked(question, spec, first.result(), then.result())
            for question, first, then in zip(questions, reference_scores, sampled_scores, strict=True)
        ]
    checked = tuple(
        DryRunReward(name=share.name, weight=share.weight, sha256=share.sha256) for share in spec.grpo.rewards
    )
    warnings = find_warnings(checked, rows)
    return DryRunReport(
        rewards=checked,
        checkpoint=spec.model.base,
        rows=tuple(rows),
        no_spread_share=no_spread_share(rows),
        warnings=tuple(warnings),
        isolation=rewards[0].worker.isolation,
        passed=not any(warning.code in GRAVE for warning in warnings),
    )


@contextmanager
def _beside() -> Iterator[ThreadPoolExecutor]:
    """Do one thing after the other beside the caller; where that fails, what was not begun is not done."""
    pool = ThreadPoolExecutor(1)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def chosen_questions(spec: RunSpec, workspace: Workspace, meter: RowMeter) -> list[PromptRow]:
    """`grpo.check_rows` training rows by the run's seed."""
    questions = questions_of(spec, workspace, meter, "train")
    if not questions:
        raise DatasetError("The chosen datasets have no rows that end with an answer", hint="Choose another dataset")
    chance = random.Random(f"{spec.data.seed}/check")
    return chance.sample(questions, min(spec.grpo.check_rows, len(questions)))


def _score_reference_answers(question: PromptRow, spec: RunSpec, rewards: Sequence[TrlReward]) -> list[ScoredAnswer]:
    """Score what is known without a model: the gold answer, and those that nobody should be paid for."""
    columns = question.columns(spec)
    gold = str(columns["answer"])
    kinds: list[tuple[AnswerKind, str]] = [("gold", gold), *adversaries(gold).items()]
    return [answer for kind, text in kinds for answer in _scored(kind, [text], columns, spec, rewards)]


def _checked(
    question: PromptRow, spec: RunSpec, reference_scores: Sequence[ScoredAnswer], sampled_scores: Sequence[ScoredAnswer]
) -> DryRunRow:
    totals = [answer.total for answer in sampled_scores if answer.total is not None]
    return DryRunRow(
        row=question.row.id,
        dataset=question.folder.name,
        images=question.row.images,
        prompt=question.turns(spec)[:-1],
        gold=str(question.columns(spec)["answer"]),
        answers=(*reference_scores, *sampled_scores),
        spread=pstdev(totals) if totals else None,
    )


def _scored(
    kind: AnswerKind, texts: list[str], columns: dict[str, Any], spec: RunSpec, rewards: Sequence[TrlReward]
) -> list[ScoredAnswer]:
    """Let every reward score answers to one question, together: a reward may compare them."""
    repeated = {
        ("images" if name == IMAGES_COLUMN else name): [value] * len(texts)
        for name, value in columns.items()
        if name != "prompt"
    }
    batch = RewardBatch(
        prompts=(tuple(Message(**turn) for turn in columns["prompt"]),) * len(texts),
        completions=tuple(texts),
        columns=repeated,
    )
    with ThreadPoolExecutor(len(rewards)) as pool:  # side by side: those that hang cost one deadline together
        tried = pool.map(partial(TrlReward.score_unless_lost, batch=batch, is_dry_run=True), rewards)
        scores_by_reward = dict(zip((reward.__name__ for reward in rewards), tried, strict=True))
    weights = [share.weight for share in spec.grpo.rewards]
    return [_answer(kind, text, number, scores_by_reward, weights) for number, text in enumerate(texts)]


def _answer(
    kind: AnswerKind, text: str, number: int, scores_by_reward: dict[str, Scores], weights: Sequence[float]
) -> ScoredAnswer:
    values = {name: scores.values[number] for name, scores in scores_by_reward.items()}
    parts = {
        f"{name}/{part}": part_values[number]
        for name, scores in scores_by_reward.items()
        for part, part_values in scores.parts.items()
    }
    failed = {name: scores.failure for name, scores in scores_by_reward.items() if scores.failure}
    problems = {
        name: scores.invalid[number]
        for name, scores in scores_by_reward.items()
        if scores.invalid and not scores.failure
    }
    problems |= {
        name: f"{failure.message}{f' (line {failure.line})' if failure.line else ''}"
        for name, failure in failed.items()
    }
    share = max(1, len(next(iter(scores_by_reward.values())).values))
    return ScoredAnswer(
        kind=kind,
        text=text[:REPORT_CHARACTERS],
        total=weighted_total(list(values.values()), weights),
        values=values,
        parts=parts,
        seconds=sum(scores.seconds for scores in scores_by_reward.values()) / share,
        printed="".join(scores.printed for scores in scores_by_reward.values()) if number == 0 else "",
        problems={name: why for name, why in problems.items() if why},
        traceback="\n".join(failure.traceback for failure in failed.values()) if number == 0 else "",
    )


if __name__ == "__main__":
    sys.exit(run_to_end(check_rewards))
