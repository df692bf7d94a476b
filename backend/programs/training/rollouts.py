"""Groups of sampled answers: those of each generation, kept for people to read, and those of a dry run."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from transformers import set_seed

from backend.catalog.checkpoints import Checkpoint
from backend.programs.model.adapters import ModelHost
from backend.programs.model.encoder import Encoder
from backend.programs.model.generation import answer_batch, sampling_parameters
from backend.programs.model.prompts import PromptRow
from backend.programs.training.distributed import gathered_objects
from backend.rewards.dry_run import weighted_total
from backend.rewards.trl_reward import TrlReward
from backend.runs.answers import Rollout, RolloutAnswer, write_rollouts
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec

ANSWERS_AT_ONCE = 32  # of a dry run
PlacedAnswers = list[tuple[int, RolloutAnswer]]  # the question's place among the run's rows, and one answer to it


def rollout_answers(
    places: Sequence[int],
    advantages: Sequence[float],
    rewards: Sequence[TrlReward],
    weights: Sequence[float],
    answers: Sequence[tuple[str, int, bool]],
) -> PlacedAnswers:
    """This process' answers of one generation.

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
        parts = {
            f"{reward.__name__}/{part}": part_values[number]
            for reward in rewards
            for part, part_values in reward.last_scores.parts.items()
        }
        noted = {column: logged[number] for reward in rewards for column, logged in reward.last_scores.columns.items()}
        is_judged = not any(reward.has_error(number) for reward in rewards)
        total = weighted_total(list(values.values()), weights) if is_judged else None
        answer = RolloutAnswer(
            text=text,
            reward=total,
            values=values | parts,
            advantage=advantages[number],
            tokens=tokens,
            is_cut=is_cut,
            noted=noted,
        )
        placed.append((place, answer))
    return placed


def rollout_writer(
    folder: RunFolder, spec: RunSpec, question: Callable[[int], PromptRow], *, is_first: bool
) -> Callable[[int, PlacedAnswers], None]:
    """What brings the answers of all processes together and writes them; every process must call it."""

    def write(step: int, local: PlacedAnswers) -> None:
        together = [each for of_rank in gathered_objects(local) for each in of_rank]
        if not is_first:
            return
        size = spec.grpo.generations
        groups = [together[begin : begin + size] for begin in range(0, len(together), size)]
        write_rollouts(folder.completions, step, [_rollout(question(group[0][0]), spec, group) for group in groups])

    return write


def sample_answers(spec: RunSpec, checkpoint: Checkpoint, questions: Sequence[PromptRow]) -> Iterator[list[str]]:
    """Give G answers to each question, in order; the model is loaded for the first. Raises CheckpointError."""
    if spec.devices.threads:
        torch.set_num_threads(spec.devices.threads)
    set_seed(spec.data.seed)
    host = ModelHost(checkpoint.base_folder)
    encoder = Encoder(checkpoint.base_folder, spec.model.min_pixels, spec.model.max_pixels)
    with host.active_with_vision(host.prepare(checkpoint)) as model:
        for question in questions:
            yield _group_of(model, question, spec, encoder)


def _rollout(question: PromptRow, spec: RunSpec, group: PlacedAnswers) -> Rollout:
    turns = question.turns(spec)
    return Rollout(
        row=question.row.id,
        dataset=question.folder.name,
        images=question.row.images,
        asked=turns[:-1],
        gold=turns[-1].content,
        answers=tuple(answer for _, answer in group),
    )


def _group_of(model: Any, question: PromptRow, spec: RunSpec, encoder: Encoder) -> list[str]:
    prompt = question.encoded(spec, encoder, for_answer=True)
    answers: list[str] = []
    while len(answers) < spec.grpo.generations:
        copies = [prompt] * min(ANSWERS_AT_ONCE, spec.grpo.generations - len(answers))
        longest = spec.grpo.max_completion_tokens
        answers += [
            generated.text
            for generated in answer_batch(model, copies, encoder, longest, sampling_parameters(spec.grpo))
        ]
    return answers
