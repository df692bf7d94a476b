"""What one drawing was about: the answers kept for people to read."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import distributed

from backend.programs.model.prompts import PromptRow
from backend.rewards.dry_run import weighted_total
from backend.rewards.trl_reward import TrlReward
from backend.runs.answers import Rollout, RolloutAnswer, write_rollouts
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

PlacedAnswers = list[tuple[int, RolloutAnswer]]  # the question's place among the run's rows, and one answer to it


def rollout_answers(
    places: Sequence[int], advantages: Sequence[float], rewards: Sequence[TrlReward], weights: Sequence[float],
    answers: Sequence[tuple[str, int, bool]],
) -> PlacedAnswers:  # fmt: skip
    """This process' answers of one drawing.

    Args:
        places: of each answer's question.
        advantages: of each answer.
        rewards: as they were called last.
        weights: of each reward.
        answers: text, tokens and whether it was cut.
    """
    placed: PlacedAnswers = []
    for number, (place, (text, tokens, is_cut)) in enumerate(zip(places, answers, strict=True)):
        values = {reward.__name__: reward.last_scores.values[number] for reward in rewards}
        parts = {f"{reward.__name__}/{part}": values[number]
                 for reward in rewards for part, values in reward.last_scores.parts.items()}  # fmt: skip
        noted = {column: values[number] for reward in rewards for column, values in reward.last_scores.columns.items()}
        is_judged = not any(reward.has_error(number) for reward in rewards)
        total = weighted_total(list(values.values()), weights) if is_judged else None
        answer = RolloutAnswer(
            text=text, reward=total, values=values | parts,
            advantage=advantages[number], tokens=tokens, is_cut=is_cut, noted=noted,
        )  # fmt: skip
        placed.append((place, answer))
    return placed


def rollout_writer(
    folder: RunFolder, spec: RunSpec, question: Callable[[int], PromptRow], *, is_first: bool
) -> Callable[[int, PlacedAnswers], None]:
    """What brings the answers of all processes together and writes them; every process must call it."""

    def write(step: int, local: PlacedAnswers) -> None:
        together = _collected(local)
        if not is_first:
            return
        size = spec.grpo.generations
        groups = [together[begin : begin + size] for begin in range(0, len(together), size)]
        write_rollouts(folder.completions, step, [_rollout(question(group[0][0]), spec, group) for group in groups])

    return write


def _rollout(question: PromptRow, spec: RunSpec, group: PlacedAnswers) -> Rollout:
    turns = question.turns(spec)
    return Rollout(
        row=question.row.id, dataset=question.folder.name, images=question.row.images, asked=turns[:-1],
        gold=turns[-1].content, answers=tuple(answer for _, answer in group),
    )  # fmt: skip


def _collected(local: PlacedAnswers) -> PlacedAnswers:
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return local
    parts: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(parts, local)
    return [each for part in parts for each in part]
