"""The road of one evaluation: choose rows, let each contestant answer them, write every answer, then judge."""

import shutil
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch

from backend.metrics.metric import Answered
from backend.programs.evaluation.models import Contestants, Ready
from backend.programs.evaluation.rows import Asked, chosen_rows, frame_of, questions_for, stored_answer
from backend.programs.evaluation.scoring import Answers, Scorer, summed_up
from backend.programs.model.generation import Given, answer_batch
from backend.programs.model.prompts import Question
from backend.row_length import RowMeter
from backend.runs.answers import Answer, AnswerWriter
from backend.runs.evaluation_report import OwnTrouble, write_report
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder, StopMode, StopRecord
from backend.settings import Workspace
from backend.spec.files import read_spec
from backend.spec.run import RunSpec

ROOM = ".evaluation"  # in the run's folder: grey images, and a merged model while it is loaded in 4 bits


class Asking(NamedTuple):
    """What one contestant is asked: its spec, and a question for each row."""

    spec: RunSpec  # with the contestant's own image bounds
    questions: list[Question | None]


class Evaluation:
    """One evaluation under way."""

    def __init__(self, folder: RunFolder, events: EventWriter) -> None:
        """Read the spec, find every contestant, choose the rows. Raises StudioError for what is not there."""
        self._folder, self._events = folder, events
        self.spec, self._workspace = read_spec(folder.path), Workspace(folder.path.parent.parent)
        self._contestants = Contestants(self.spec, self._workspace, folder.path / ROOM)
        self._rows = chosen_rows(self.spec, self._workspace)
        self._askings = [self._asking(number) for number in range(len(self.spec.comparison.contestants))]
        fits = zip(*(asking.questions for asking in self._askings), strict=True)
        self._places = [place for place, found in enumerate(fits) if all(found)]
        self._done = 0

    def run(self) -> None:
        """Ask, judge, and say how it ended."""
        too_long = len(self._rows) - len(self._places)
        if too_long:
            text = f"{too_long:,} rows are left out: longer than `data.max_tokens` of {self.spec.data.max_tokens:,}"
            self._events.write("note", 0, level="warning", text=text)
        said = []
        for number in range(len(self._askings)):
            answers = self._all_answers(number)
            if answers is None:
                self._events.write("end", self._done, outcome="stopped", saved=False)
                return
            said.append(answers)
        self._events.write("progress", self._done, phase="judging")
        write_report(self._folder.report, summed_up(self.spec, said, too_long))
        self._events.write("end", self._done, outcome="finished", saved=True)

    def _asking(self, number: int) -> Asking:
        low, high = self._contestants.bounds(number)
        bounded = self.spec.model.model_copy(update={"min_pixels": low, "max_pixels": high})
        spec = self.spec.model_copy(update={"model": bounded})
        meter = RowMeter(self._contestants.base_folder(number))
        shown = self.spec.comparison.contestants[number].images
        return Asking(spec, questions_for(self._rows, spec, shown, meter, self._folder.path / ROOM))

    def _all_answers(self, number: int) -> Answers | None:
        """What one contestant says to every row; None where the studio asked to stop."""
        contestant, asking = self.spec.comparison.contestants[number], self._askings[number]
        self._events.write("progress", self._done, phase="loading", total_steps=self._total)
        readable = [*dict.fromkeys(row.folder for row in self._rows), self._folder.path / ROOM]
        found: list[Answer] = []
        with (
            self._contestants.ready(number, contestant) as ready,
            Scorer(asking.spec, self._folder, readable) as scorer,
            AnswerWriter(self._folder.answers, number) as writer,
        ):
            begun = time.monotonic()
            for places in self._batches(asking):
                if self._is_stopped():
                    return None
                answers = self._answered(places, asking, ready, scorer)
                writer.add(answers)
                found += answers
                self._tell(len(answers), begun, len(found))
            seconds = time.monotonic() - begun
            writer.finish(found)
            errors, examples = scorer.take_errors()
        troubles = tuple(OwnTrouble(metric=name, side=number, errors=count, example=examples[name])
                         for name, count in errors.items())  # fmt: skip
        ordered = sorted(found, key=lambda answer: answer.place)
        bounds = (asking.spec.model.min_pixels, asking.spec.model.max_pixels)
        return Answers(ordered, seconds, bounds, troubles)

    @property
    def _total(self) -> int:
        return len(self._places) * len(self._askings)

    def _batches(self, asking: Asking) -> Iterator[list[int]]:
        """The rows' places, rows of about the same length together: what is filled up is computed for nothing."""

        def tokens(place: int) -> int:
            found = asking.questions[place]
            return found.fit.tokens if found else 0

        ordered, size = sorted(self._places, key=tokens), self.spec.comparison.batch_size
        for at in range(0, len(ordered), size):
            yield ordered[at : at + size]

    def _answered(self, places: Sequence[int], asking: Asking, ready: Ready, scorer: Scorer) -> list[Answer]:
        questions = [question for place in places if (question := asking.questions[place])]
        samples = [question.encoded(asking.spec, ready.encoder, for_answer=True) for question in questions]
        given = answer_batch(ready.model, samples, ready.encoder, self.spec.comparison.max_new_tokens)
        stored = [
            stored_answer(each.text, question, asking.spec) for each, question in zip(given, questions, strict=True)
        ]
        answered = [Answered(self._rows[place].row.messages[-1].content, text, _references(self._rows[place]))
                    for place, text in zip(places, stored, strict=True)]  # fmt: skip
        columns = [question.columns(asking.spec) for question in questions]
        scores = scorer.scores(answered, [each.text for each in given], columns)
        return [
            _answer(place, question, one, judged, each, frame_of(question, asking.spec))
            for place, question, one, judged, each in zip(places, questions, answered, scores, given, strict=True)
        ]

    def _tell(self, new: int, begun: float, answered: int) -> None:
        """Say how far it is, and when it may be done: the other contestants take as long as this one, it supposes."""
        self._done += new
        each = (time.monotonic() - begun) / max(1, answered)
        left = round(each * (self._total - self._done), 1)
        self._events.write("progress", self._done, phase="answering", total_steps=self._total, seconds_left=left)

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
        Evaluation(folder, events).run()
    finally:
        shutil.rmtree(folder.path / ROOM, ignore_errors=True)


def _references(asked: Asked) -> tuple[str, ...]:
    return asked.row.references


def _answer(
    place: int, question: Question, answered: Answered, scores: dict[str, Any], given: Given,
    frame: tuple[int, int] | None,
) -> Answer:  # fmt: skip
    row = question.row
    return Answer(
        place=place, row=row.id, dataset=question.folder.name, images=row.images, asked=row.messages[:-1],
        gold=answered.gold, references=answered.references, given=answered.given,
        raw="" if given.text == answered.given else given.text, frame=frame, tokens=given.tokens,
        is_cut=given.is_cut, scores=scores,
    )  # fmt: skip
