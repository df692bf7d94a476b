"""Questions that stand in a file of their own, with their answers in another: joined by `question_id`, as in VQA v2."""

import itertools
from collections.abc import Iterator
from typing import Any

from backend.datasets.json_rows import RawRow
from backend.datasets.problems import quoted

ID, QUESTION = "question_id", "question"
ANSWERS = ("answer", "answers", "multiple_choice_answer")
MAX_QUESTIONS = 5_000_000  # in memory


class QuestionsApart:
    """The questions by their ids, and the files that they stand in."""

    def __init__(self) -> None:
        """Know none."""
        self.files: list[str] = []
        self._questions: dict[Any, dict[str, Any]] = {}
        self._joined = 0

    def take(self, file: str, raw_rows: Iterator[RawRow]) -> None:
        """Keep the questions of a file whose rows have an id and a question and no answer; leave any other alone."""
        first = next(raw_rows, None)
        if first is None or not _is_question(first.content):
            return
        for raw in itertools.islice(itertools.chain([first], raw_rows), MAX_QUESTIONS):
            if _is_question(raw.content):
                self._questions[raw.content[ID]] = raw.content
        self.files.append(file)

    def joined(self, raw_rows: Iterator[RawRow]) -> Iterator[RawRow]:
        """Give rows that have the id of a question and no question the fields of that question."""
        for raw in raw_rows:
            question = self._questions.get(raw.content.get(ID)) if self._questions else None
            if question is None or QUESTION in raw.content:
                yield raw
            else:
                self._joined += 1
                yield raw._replace(content=question | raw.content)

    def notice(self) -> str:
        """Say how many rows were joined; empty where none was."""
        files = ", ".join(f"`{quoted(file, 60)}`" for file in self.files)
        return f"{self._joined:,} rows got their question from {files} by `{ID}`" if self._joined else ""


def _is_question(content: dict[str, Any]) -> bool:
    return ID in content and bool(content.get(QUESTION)) and not any(content.get(name) for name in ANSWERS)
