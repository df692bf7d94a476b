"""From rows with checked pictures to the dataset's folder: ids, split, rows, counts."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from backend.conversation import Message, Row
from backend.datasets.gathering import Gathered
from backend.datasets.job import Job
from backend.datasets.pages import RowWriter
from backend.datasets.pictures import PictureOutcome
from backend.datasets.problems import Place, UploadRefused, counted, shown
from backend.datasets.reading import FoundRow
from backend.datasets.records import SplitRule, Statistics
from backend.datasets.split import hold_out
from backend.datasets.statistics import Tally

ID_DIGITS = 12  # of the sha256 of a row's turns and pictures
MAX_FILES_SHOWN = 8
Outcomes = Mapping[str, PictureOutcome]  # by the path of the uploaded picture


class Assembled(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics
    split: SplitRule
    notices: tuple[str, ...]


def assemble(job: Job, gathered: Gathered, outcomes: Outcomes, kept: Sequence[bool]) -> Assembled:
    """Write `data.json` and remove pictures that no row uses.

    Args:
        job: the import.
        gathered: the rows that were understood.
        outcomes: of every picture that they name.
        kept: for each row, in order, whether it is imported.

    Raises:
        UploadRefused: no row is left to train on.
    """
    heldout, rule, notices = _split(job, gathered, outcomes, kept)
    if len(heldout) == sum(kept):
        raise UploadRefused(
            "NO_TRAINING_ROWS", f"All {len(heldout):,} good rows of `{shown(job.source.name)}` are held out"
        )
    tally, ids = Tally(), _Ids()
    used: set[str] = set()
    without_picture = 0
    with RowWriter(job.folder) as writer:
        for number, row in enumerate(_only(gathered, kept)):
            pictures = [outcomes[picture.path] for picture in row.pictures]
            stored = Row(
                id=ids.new(content_id(row.messages, [picture.stored for picture in pictures])),
                split="heldout" if number in heldout else "train",
                images=tuple(f"{job.images.name}/{picture.stored}" for picture in pictures),
                messages=row.messages, source=f"{row.file} {row.unit} {row.line}", references=row.references,
            )  # fmt: skip
            writer.add(stored)
            tally.add(stored, pictures)
            used.update(picture.stored for picture in pictures)
            without_picture += not pictures
    for path in job.images.iterdir():
        if path.name not in used:
            path.unlink()
    if without_picture:
        notices.append(f"{counted(without_picture, 'row')} without a picture, to be learned from as text")
    return Assembled(writer.sha256, tally.statistics(), rule, tuple(notices))


def content_id(messages: Sequence[Message], pictures: Sequence[str]) -> str:
    """Name a row by what it says and shows, so that it keeps its id wherever it stands.

    Args:
        messages: its turns.
        pictures: their stored names, such as `3f2a....png`, in order.
    """
    parts = [part for message in messages for part in (message.role, message.content)]
    text = "\0".join([*parts, *pictures])
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


def _split(
    job: Job, gathered: Gathered, outcomes: Outcomes, kept: Sequence[bool]
) -> tuple[frozenset[int], SplitRule, list[str]]:
    """Choose the held-out rows, numbered among those kept."""
    notices = list(gathered.notices)
    options = job.options
    if gathered.is_split or options.heldout is not None:
        chosen = {n: row.file for n, row in enumerate(_only(gathered, kept)) if row.side == "heldout"}
        files = ", ".join(f"`{shown(file)}`" for file in sorted(set(chosen.values()))[:MAX_FILES_SHOWN])
        notices += [f"Held-out rows as given, from {files}"] if files else []
        _report_leaks(job, gathered, outcomes, kept)
        return frozenset(chosen), SplitRule(kind="given"), notices
    keys = [
        [content_id(row.messages, stored), *stored]
        for row in _only(gathered, kept)
        for stored in [_stored(row, outcomes)]
    ]
    held = hold_out(keys, options.heldout_share, options.seed)
    notices += [held.notice] if held.notice else []
    return held.rows, SplitRule(kind="seeded", share=options.heldout_share, seed=options.seed), notices


def _report_leaks(job: Job, gathered: Gathered, outcomes: Outcomes, kept: Sequence[bool]) -> None:
    """Warn of each picture, by content, that given splits have on both sides."""
    sides: dict[str, set[bool]] = defaultdict(set)
    first: dict[str, tuple[FoundRow, str]] = {}
    for row in _only(gathered, kept):
        for picture, stored in zip(row.pictures, _stored(row, outcomes), strict=True):
            sides[stored].add(row.side == "heldout")
            if row.side == "heldout":
                first.setdefault(stored, (row, picture.written))
    for stored, (row, written) in first.items():
        if len(sides[stored]) > 1:
            place = Place(row.file, row.line, row.record, row.unit)
            job.problems.add("SPLIT_LEAK", place, f"The picture `{written}` is in training rows as well", "images")


def _only(gathered: Gathered, kept: Sequence[bool]) -> Iterator[FoundRow]:
    return (row for row, is_kept in zip(gathered.found(), kept, strict=True) if is_kept)


def _stored(row: FoundRow, outcomes: Outcomes) -> list[str]:
    return [outcomes[picture.path].stored for picture in row.pictures]


class _Ids:
    """Hands out ids; rows that are wholly equal are numbered."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = defaultdict(int)

    def new(self, content_id: str) -> str:
        self._seen[content_id] += 1
        count = self._seen[content_id]
        return content_id if count == 1 else f"{content_id}-{count}"
