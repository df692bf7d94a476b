"""Rows, turns, refusals and progress as plain values for the pages' own components."""

from collections.abc import Iterable, Sequence
from typing import Any

from backend.conversation import PLACEHOLDER, Message, Row
from backend.datasets.importer import CHECKED_SHARE
from backend.datasets.problems import CODES, DatasetProblem, UploadRefused
from backend.datasets.upload_reader import READING_SHARE
from backend.errors import StudioError
from studio.ui.i18n import Translate

EXAMPLES = 5  # of each kind of problem
View = dict[str, Any]


def row_view(dataset: str, row: Row) -> View:
    """One stored row: its turns, images by name."""
    images = [{"of": f"dataset/{dataset}", "name": path.removeprefix("images/")} for path in row.images]
    return {"id": row.id, "split": row.split, "source": row.source, "turns": turns_view(row.messages, images)}


def turns_view(messages: Sequence[Message], images: Sequence[View]) -> list[View]:
    """A conversation as `{role, parts}`; each `<image>` becomes the next image, as far as there are any."""
    left = iter(images)
    turns = []
    for message in messages:
        pieces = message.content.split(PLACEHOLDER) if message.role == "user" else [message.content]
        parts: list[View] = []
        for number, piece in enumerate(pieces):
            if number:
                parts.append({"image": next(left, None)})
            if piece.strip():
                parts.append({"text": piece.strip("\n")})
        turns.append({"role": message.role, "parts": parts})
    return turns


def progress_view(share: float, t: Translate) -> View:
    """How far an import is."""
    stage = "reading" if share <= READING_SHARE else "checking" if share < CHECKED_SHARE else "writing"
    return {"progress": share, "said": t(f"import.{stage}")}


def refusal_view(error: StudioError, t: Translate) -> View:
    """Why nothing was imported."""
    code = error.code if isinstance(error, UploadRefused) else ""
    problems = error.problems if isinstance(error, UploadRefused) else ()
    hint = t(f"problem.{code}.hint") if code in CODES and error.hint == CODES[code].hint else error.hint
    lines = [error.message, hint]
    return {
        "kind": "bad",
        "title": t("report.refused"),
        "lines": lines,
        "groups": groups_view(problems, {}, t),
        "csv": "",
    }


def groups_view(problems: Iterable[DatasetProblem], counts: dict[str, int], t: Translate) -> list[View]:
    """Problems by code, gravest and most frequent first: a title, what to do, how often, and examples."""
    by_code: dict[str, list[DatasetProblem]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)
    order = {"error": 0, "warning": 1, "info": 2}

    def count(code: str) -> int:
        return max(counts.get(code, 0), len(by_code[code]))

    ranked = sorted(by_code, key=lambda code: (order[by_code[code][0].severity], -count(code)))
    return [
        {
            "severity": by_code[code][0].severity,
            "severity_said": t(f"severity.{by_code[code][0].severity}"),
            "title": t(f"problem.{code}.title"),
            "hint": t(f"problem.{code}.hint"),
            "count": f"{count(code):,}",
            "examples": [problem.message for problem in by_code[code][:EXAMPLES]],
        }
        for code in ranked
    ]
