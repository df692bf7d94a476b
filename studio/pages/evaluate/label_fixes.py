"""What a person marks on the wall: wrong labels, rows to leave out, rows for a hard set; and carrying it out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from backend.datasets.editing import EditConflict, Edits
from backend.datasets.store import DatasetStore
from backend.errors import DatasetError, StudioError
from backend.runs.answers import read_answers
from backend.store.views import RunView
from studio.ui.i18n import Translate

HARD_SET = "hard-set"
MOST_MARKS = 5000
MOST_CHARACTERS = 100_000


class RowKey(NamedTuple):
    """A row of a dataset."""

    dataset: str
    row: str


class Changes(NamedTuple):
    """What was marked."""

    answers: dict[RowKey, str]  # the right answer
    excluded: frozenset[RowKey]
    hard: tuple[RowKey, ...]


def changes_of(value: dict[str, Any]) -> Changes:
    """Read what a browser sent: lists of {dataset, row[, text]}. Raises DatasetError for anything else."""
    try:
        marks = {name: list((value.get("marks") or {}).get(name) or []) for name in ("answers", "excluded", "hard")}
        if sum(map(len, marks.values())) > MOST_MARKS:
            raise ValueError("too many")
        keys = {name: [RowKey(_text(mark["dataset"]), _text(mark["row"])) for mark in found]
                for name, found in marks.items()}  # fmt: skip
        texts = [_text(mark["text"]) for mark in marks["answers"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DatasetError("The marks cannot be read", hint="Reload the page and mark the rows again") from error
    answers = dict(zip(keys["answers"], texts, strict=True))
    return Changes(answers, frozenset(keys["excluded"]), tuple(keys["hard"]))


def apply_changes(store: DatasetStore, view: RunView, changes: Changes, t: Translate) -> list[str]:
    """Carry out all marks, each dataset's as one new version.

    Rows are copied into the hard set with the labels as they are corrected.

    Returns:
        What was done, a sentence each.

    Raises:
        DatasetError: nothing was marked, or a row is not as the evaluation saw it; what could not be done is said, and
            what was done before it.
    """
    if not any(changes):
        raise DatasetError(t("wall.nothing"), hint=t("wall.nothing.hint"))
    shown_gold = {RowKey(answer.dataset, answer.row): answer.gold for answer in read_answers(view.folder.answers, 0)}
    unknown = {*changes.answers, *changes.excluded, *changes.hard} - shown_gold.keys()
    if unknown:
        raise DatasetError(t("wall.unknown", rows=", ".join(sorted(key.row for key in unknown))),
                           hint=t("wall.nothing.hint"))  # fmt: skip
    done: list[str] = []
    for dataset in dict.fromkeys(key.dataset for key in (*changes.answers, *changes.excluded, *changes.hard)):
        _one_by_one(done, [lambda name=dataset: _edit(store, name, changes, shown_gold, t),  # type: ignore[misc]
                           lambda name=dataset: _copy(store, name, changes, t)])  # type: ignore[misc]  # fmt: skip
    return done


def _one_by_one(done: list[str], acts: list[Callable[[], str]]) -> None:
    for act in acts:
        try:
            message = act()
        except StudioError as error:
            so_far = f" ({'; '.join(done)})" if done else ""
            raise DatasetError(f"{error.message}{so_far}", hint=error.hint) from error
        if message:
            done.append(message)


def _edit(store: DatasetStore, name: str, changes: Changes, shown_gold: dict[RowKey, str], t: Translate) -> str:
    answers = {key.row: text for key, text in changes.answers.items() if key.dataset == name}
    excluded = frozenset(key.row for key in changes.excluded if key.dataset == name)
    if not answers and not excluded:
        return ""
    answers, excluded = _not_done(store, name, answers, excluded)
    if not answers and not excluded:
        return ""
    expected = {row: shown_gold[RowKey(name, row)] for row in (*answers, *excluded)}
    try:
        manifest = store.apply_edits(name, Edits(answers, excluded), expected=expected)
    except EditConflict as conflict:
        rows = [t("wall.changed.row", row=row, answer=text[:60]) for row, text in conflict.changed.items()]
        message = t("wall.changed", dataset=name, rows="; ".join(rows))
        raise DatasetError(message, hint=t("wall.changed.hint")) from conflict
    return t("wall.done", dataset=name, fixed=len(answers), excluded=len(excluded), version=manifest.sha256[:8])


def _not_done(
    store: DatasetStore, name: str, answers: dict[str, str], excluded: frozenset[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """What is left of the marks where an earlier try was cut short after this dataset."""
    now = {row.id: row.gold for row in store.rows(name)}
    return {row: text for row, text in answers.items() if now.get(row) != text}, excluded & now.keys()


def _copy(store: DatasetStore, name: str, changes: Changes, t: Translate) -> str:
    rows = [key.row for key in changes.hard if key.dataset == name and key not in changes.excluded]
    if not rows or name == HARD_SET:
        return ""
    store.copy_rows(name, rows, HARD_SET)
    return t("wall.done_hard", count=len(rows), set=HARD_SET)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MOST_CHARACTERS:
        raise ValueError("no text")
    return value
