"""The road of one evaluation: choose rows, let each contestant answer them, write every answer, then judge."""

import shutil
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from backend.metrics.metric import MetricInput
from backend.programs.evaluation.models import Contestants, LoadedModel
from backend.programs.evaluation.rows import chosen_rows, frame_of, questions_for, stored_answer
from backend.programs.evaluation.scoring import ContestantAnswers, Scorer, build_report
from backend.programs.model.generation import GeneratedAnswer, answer_batch
from backend.programs.model.prompts import PromptRow, with_same_columns
from backend.row_length import RowMeter
from backend.runs.answers import Answer, AnswerWriter
from backend.runs.evaluation_report import MetricFailures, write_report
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder, StopMode, StopRecord
from backend.settings import Workspace
from backend.spec.files import read_spec
from backend.spec.run import RunSpec

SCRATCH = ".evaluation"  # in the run's folder: grey images, and a merged model while it is loaded in 4 bits


class ContestantPrompts(NamedTuple):
    """What one contestant is asked: its spec, and a question for each row."""

    spec: RunSpec  # with the contestant's own image bounds
    questions: list[PromptRow | None]


class EvaluationRun:
    """One evaluation under way."""

    def __init__(self, folder: RunFolder, events: EventWriter) -> None:
        """Read the spec, find every contestant, choose the rows. Raises StudioError for what is not there."""
        self._folder, self._events = folder, events
        self.spec, self._workspace = read_spec(folder.path), Workspace(folder.path.parent.parent)
        self._contestants = Contestants(self.spec, self._workspace, folder.path / SCRATCH)
        self._rows = chosen_rows(self.spec, self._workspace)
        self._prompts = [self._prompts_for(number) for number in range(len(self.spec.comparison.contestants))]
        questions_by_row = zip(*(prompts.questions for prompts in self._prompts), strict=True)
        self._places = [place for place, row_questions in enumerate(questions_by_row) if all(row_questions)]
        self._done = 0

    def run(self) -> None:
        """Ask, judge, and say how it ended."""
        too_long = len(self._rows) - len(self._places)
        if too_long:
            text = f"{too_long:,} rows are left out: longer than `data.max_tokens` of {self.spec.data.max_tokens:,}"
            self._events.write("note", 0, level="warning", text=text)
        answers_by_contestant = []
        for number in range(len(self._prompts)):
            answers = self._all_answers(number)
            if answers is None:
                self._events.write("end", self._done, outcome="stopped", saved=False)
                return
            answers_by_contestant.append(answers)
        self._events.write("progress", self._done, phase="judging")
        write_report(self._folder.report, build_report(self.spec, answers_by_contestant, too_long))
        self._events.write("end", self._done, outcome="finished", saved=True)

    def _prompts_for(self, number: int) -> ContestantPrompts:
        low, high = self._contestants.bounds(number)
        bounded = self.spec.model.model_copy(update={"min_pixels": low, "max_pixels": high})
        spec = self.spec.model_copy(update={"model": bounded})
        meter = RowMeter(self._contestants.base_folder(number))
        images = self.spec.comparison.contestants[number].images
        return ContestantPrompts(spec, questions_for(self._rows, spec, images, meter, self._folder.path / SCRATCH))

    def _all_answers(self, number: int) -> ContestantAnswers | None:
        """What one contestant says to every row; None where the studio asked to stop."""
        contestant, prompts = self.spec.comparison.contestants[number], self._prompts[number]
        self._events.write("progress", self._done, phase="loading", total_steps=self._total)
        readable = [*dict.fromkeys(row.folder for row in self._rows), self._folder.path / SCRATCH]
        all_answers: list[Answer] = []
        with (
            self._contestants.ready(number, contestant) as loaded,
            Scorer(prompts.spec, self._folder, readable) as scorer,
            AnswerWriter(self._folder.answers, number) as writer,
        ):
            started = time.monotonic()
            for places in self._batches(prompts):
                if self._is_stopped():
                    return None
                answers = self._answered(places, prompts, loaded, scorer)
                writer.add(answers)
                all_answers += answers
                self._report_progress(len(answers), started, len(all_answers))
            seconds = time.monotonic() - started
            writer.finish(all_answers)
            errors, examples = scorer.take_errors()
        troubles = tuple(
            MetricFailures(metric=name, side=number, errors=count, example=examples[name])
            for name, count in errors.items()
        )
        ordered = sorted(all_answers, key=lambda answer: answer.place)
        bounds = (prompts.spec.model.min_pixels, prompts.spec.model.max_pixels)
        return ContestantAnswers(ordered, seconds, bounds, troubles)

    @property
    def _total(self) -> int:
        return len(self._places) * len(self._prompts)

    def _batches(self, prompts: ContestantPrompts) -> Iterator[list[int]]:
        """The rows' places, rows of about the same length together: what is filled up is computed for nothing."""

        def tokens(place: int) -> int:
            question = prompts.questions[place]
            return question.fit.tokens if question else 0

        ordered, size = sorted(self._places, key=tokens), self.spec.comparison.batch_size
        for at in range(0, len(ordered), size):
            yield ordered[at : at + size]

    def _answered(
        self, places: Sequence[int], prompts: ContestantPrompts, loaded: LoadedModel, scorer: Scorer
    ) -> list[Answer]:
        questions = [question for place in places if (question := prompts.questions[place])]
        samples = [question.encoded(prompts.spec, loaded.encoder, for_answer=True) for question in questions]
        generated = answer_batch(loaded.model, samples, loaded.encoder, self.spec.comparison.max_new_tokens)
        stored = [
            stored_answer(each.text, question, prompts.spec)
            for each, question in zip(generated, questions, strict=True)
        ]
        answered = [
            MetricInput(self._rows[place].row.messages[-1].content, text, self._rows[place].row.references)
            for place, text in zip(places, stored, strict=True)
        ]
        columns = with_same_columns([question.columns(prompts.spec) for question in questions])
        scores = scorer.scores(answered, [each.text for each in generated], columns)
        return [
            _answer(place, question, one, judged, each, frame_of(question, prompts.spec))
            for place, question, one, judged, each in zip(places, questions, answered, scores, generated, strict=True)
        ]

    def _report_progress(self, new: int, started: float, answered: int) -> None:
        """Say how far it is, and when it may be done: the other contestants take as long as this one, it supposes."""
        self._done += new
        each = (time.monotonic() - started) / max(1, answered)
        seconds_left = round(each * (self._total - self._done), 1)
        self._events.write(
            "progress", self._done, phase="answering", total_steps=self._total, seconds_left=seconds_left
        )

    def _is_stopped(self) -> StopMode | None:
        if not self._folder.stop.is_file():
            return None
        return StopRecord.model_validate_json(self._folder.stop.read_bytes()).mode


def evaluate(folder: RunFolder, events: EventWriter) -> None:
    """Evaluate as the spec of `folder` says, and write `answers/` and `report.json`.

    Raises:
        StudioError: a contestant, the rows or a metric are not there.
    """
    events.write("progress", 0, phase="loading")
    threads = read_spec(folder.path).devices.threads
    if threads:
        torch.set_num_threads(threads)
    try:
        EvaluationRun(folder, events).run()
    finally:
        shutil.rmtree(folder.path / SCRATCH, ignore_errors=True)


def _answer(
    place: int,
    question: PromptRow,
    answered: MetricInput,
    scores: dict[str, Any],
    generated: GeneratedAnswer,
    frame: tuple[int, int] | None,
) -> Answer:
    row = question.row
    return Answer(
        place=place,
        row=row.id,
        dataset=question.folder.name,
        images=row.images,
        asked=row.messages[:-1],
        gold=answered.gold,
        references=answered.references,
        given=answered.prediction,
        raw="" if generated.text == answered.prediction else generated.text,
        frame=frame,
        tokens=generated.tokens,
        is_cut=generated.is_cut,
        scores=scores,
    )
