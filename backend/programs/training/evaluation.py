"""Measure the model on validation rows while it learns: its loss, and the answers that it really gives."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from backend.metrics.exact_match import scores_of
from backend.programs.model.encoder import IGNORED, Encoder, Sample
from backend.programs.model.generation import GeneratedAnswer, answer_batch
from backend.programs.model.packing import Collator, learned_logits, moved
from backend.programs.model.prompts import PromptRow, with_same_columns
from backend.programs.training.distributed import gathered_objects, rank, summed, world_size
from backend.rewards.trl_reward import TrlReward, build_reward_batch
from backend.runs.answers import Prediction
from backend.spec.run import RunSpec

ROWS_AT_ONCE = 16  # answered together, at the most
TOKENS_AT_ONCE = 16_384  # of them, filled up to the longest one with its answer: long rows go fewer at a time


class EvaluationResult(NamedTuple):
    """One evaluation, complete on every process."""

    metrics: dict[str, float]  # eval_loss, and the mean of each metric over the rows it applies to
    predictions: list[Prediction]
    troubles: list[str]  # with the person's own metrics, in words; on the first process alone


class EvaluationInterrupted(Exception):
    """An evaluation was left, because the run is to stop."""


class Evaluator:
    """Asks the same rows each time. Every process takes its share of them and knows the whole result."""

    def __init__(
        self,
        spec: RunSpec,
        rows: Sequence[PromptRow],
        encoder: Encoder,
        collator: Collator,
        own: Sequence[TrlReward] = (),
    ) -> None:
        """Take the chosen rows; none means that there is nothing to evaluate.

        Args:
            spec: of the run.
            rows: the validation rows to ask.
            encoder: of the model.
            collator: joins samples for the loss.
            own: the person's own metrics, on the first process alone: it alone tells what they say.
        """
        self._spec, self._rows, self._encoder, self._collator = spec, list(rows), encoder, collator
        self._own = list(own)
        self._should_stop: Callable[[], bool] = lambda: False

    @property
    def has_rows(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self._rows)

    def evaluate(self, model: nn.Module, should_stop: Callable[[], bool] = lambda: False) -> EvaluationResult:
        """Ask all rows. Leaves the model in train mode; nothing random is drawn, so training goes on as without.

        Args:
            model: as trained.
            should_stop: asked between two batches, at the same moment on every process, which must all say the same.

        Raises:
            EvaluationInterrupted: `should_stop` said so.
        """
        self._should_stop = should_stop
        model.eval()
        try:
            loss, answers = self._loss(model), self._answers(model)
        finally:
            model.train()
        predictions, troubles = self._judged(answers) if self._own else (answers, [])
        means: dict[str, list[float]] = {}
        for prediction in predictions:
            for name, score in prediction.scores.items():
                means.setdefault(name, []).append(score)
        metrics = {"eval_loss": loss} | {name: sum(scores) / len(scores) for name, scores in means.items()}
        return EvaluationResult(metrics, predictions, troubles)

    def _until_stopped(self, batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            if self._should_stop():
                raise EvaluationInterrupted
            yield batch

    def _batches(self, places: Sequence[int]) -> Iterator[Sequence[int]]:
        """Cut them into groups that memory has room for, equally many on every process."""
        longest = max(row.fit.tokens for row in self._rows) + self._spec.evaluation.max_new_tokens
        size = max(1, min(ROWS_AT_ONCE, TOKENS_AT_ONCE // longest))
        for at in range(0, len(places), size):
            yield places[at : at + size]

    def _share(self) -> list[PromptRow]:
        """This process' rows; all have equally many, so that none waits for another, some of them asked twice."""
        each = -(-len(self._rows) // world_size())
        places = range(rank() * each, (rank() + 1) * each)
        return [self._rows[place % len(self._rows)] for place in places]

    @torch.no_grad()
    def _loss(self, model: nn.Module) -> float:
        """Mean cross-entropy of the learned tokens of all rows; of a row that is asked twice, once."""
        sums = torch.zeros(2, dtype=torch.float64)
        share = self._share()
        twice = range(len(self._rows) - rank() * len(share), len(share))
        for places in self._until_stopped(self._batches(range(len(share)))):
            samples = [share[place].encoded(self._spec, self._encoder) for place in places]
            part = [
                _unlearned(sample) if place in twice else sample for place, sample in zip(places, samples, strict=True)
            ]
            inputs = moved(self._collator(part), next(model.parameters()).device)
            losses = functional.cross_entropy(
                learned_logits(model, inputs).float(), inputs["shift_labels"], reduction="sum"
            )
            sums += torch.tensor([float(losses), len(inputs["shift_labels"])], dtype=torch.float64)
        total = summed(sums)
        return float(total[0] / max(1.0, float(total[1])))

    def _answers(self, model: nn.Module) -> list[Prediction]:
        """Ask this process' rows, longest together, and bring all answers together in the order of the rows."""
        share = self._share()
        order = sorted(range(len(share)), key=lambda place: share[place].fit.tokens)
        prediction_of: dict[int, Prediction] = {}
        longest = self._spec.evaluation.max_new_tokens
        for places in self._until_stopped(self._batches(order)):
            questions = [share[place].encoded(self._spec, self._encoder, for_answer=True) for place in places]
            if self._collator.needs_image and not any(len(question.grids) for question in questions):
                questions.append(self._collator.blank)  # other processes may be waiting in the vision tower
            answers = answer_batch(model, questions, self._encoder, longest)
            for place, answer in zip(places, answers, strict=False):
                prediction_of[place] = _prediction(share[place], answer, self._spec)
        share_predictions = [prediction_of[place] for place in range(len(share))]
        return [answer for part in gathered_objects(share_predictions) for answer in part][: len(self._rows)]

    def _judged(self, predictions: list[Prediction]) -> tuple[list[Prediction], list[str]]:
        """Add what the person's own metrics say, where they say something; and what went wrong with them, in words."""
        own_scores: list[dict[str, float]] = [{} for _ in predictions]
        troubles = []
        for metric in self._own:
            errors, example = 0, ""
            for places in self._batches(range(len(predictions))):
                columns = with_same_columns([self._rows[place].columns(self._spec) for place in places])
                scores = metric.score_unless_lost(
                    build_reward_batch([predictions[place].given for place in places], columns)
                )
                errors += scores.error_count
                example = example or scores.first_error
                for place, value in zip(places, scores.values, strict=True):
                    if value is not None:
                        own_scores[place][metric.__name__] = value
            if errors:
                of = f"{errors} of {len(predictions)} answers"
                troubles.append(f"`{metric.__name__}` gave no number for {of}: {example}")
        judged = [
            prediction.model_copy(update={"scores": own | prediction.scores})
            for prediction, own in zip(predictions, own_scores, strict=True)
        ]
        return judged, troubles


def _unlearned(sample: Sample) -> Sample:
    return replace(sample, labels=torch.full_like(sample.labels, IGNORED))


def _prediction(question: PromptRow, generated: GeneratedAnswer, spec: RunSpec) -> Prediction:
    row, gold = question.row, question.turns(spec)[-1].content
    return Prediction(
        row=row.id,
        dataset=question.folder.name,
        images=row.images,
        asked=row.messages[:-1],
        gold=gold,
        given=generated.text,
        is_cut=generated.is_cut,
        scores=scores_of([gold, *question.references(spec)], generated.text),
    )
