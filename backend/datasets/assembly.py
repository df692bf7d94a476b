"""From rows with checked images to the dataset's folder: ids, split, rows, statistics."""

import hashlib
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from backend.conversation import Message, Row
from backend.datasets.image_pool import ImageOutcome
from backend.datasets.problems import Place, UploadRefused, counted, quoted
from backend.datasets.records import SplitRule, Statistics
from backend.datasets.row_reader import ResolvedRow, UploadedRows
from backend.datasets.rows_file import RowWriter
from backend.datasets.staging import ImportJob
from backend.errors import DatasetError
from backend.image_size import tokens_for_image
from backend.spec.training import ModelKnobs

MIN_ROWS = 5  # below that every row is for training
LARGEST_SHARE = 0.5  # that one group may take where no smaller one fits
MAX_ANSWERS = 10
MAX_ANSWER_SHOWN = 80
TURN_TOKENS = 5  # <|im_start|>, role, newline, <|im_end|>, newline
IMAGE_MARK_TOKENS = 2  # <|vision_start|> and <|vision_end|>
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")  # CJK
_DIGIT = re.compile(r"\d")
ID_DIGITS = 12  # of the sha256 of a row's turns and images
MAX_FILES_SHOWN = 8
ImageOutcomes = Mapping[str, ImageOutcome]  # by the path of the uploaded image
FORMATS = ("JPEG", "PNG", "WEBP")  # what an import stores


class HeldoutSplit(NamedTuple):
    """The rows held out, by index, and what the person is told."""

    rows: frozenset[int]
    notice: str


def hold_out(keys: Sequence[Iterable[str]], share: float, seed: int) -> HeldoutSplit:
    """Choose about `share` of the rows.

    Rows with a key in common, directly or through other rows, form a group; groups are held out whole. They are taken
    in the order of the SHA-256 of seed and smallest key, each if it still fits, so the order of rows and files does
    not matter.

    Args:
        keys: for each row what ties it to others: its images and its text, by content. Never empty.
        share: of the rows, from 0 to below 1.
        seed: another seed, another choice.
    """
    target = int(len(keys) * share + 0.5)
    if share <= 0:
        return HeldoutSplit(frozenset(), "")
    if target == 0 or len(keys) < MIN_ROWS:
        return HeldoutSplit(
            frozenset(), f"With {len(keys)} rows none is held out; give more rows, or a file of held-out rows"
        )
    groups = sorted(_groups(keys).items(), key=lambda group: hashlib.sha256(f"{seed}/{group[0]}".encode()).digest())
    chosen: list[int] = []
    for _, rows in groups:
        if len(chosen) + len(rows) <= target:
            chosen += rows
    if chosen:
        return HeldoutSplit(frozenset(chosen), "")
    smallest = min((rows for _, rows in groups), key=len)
    if len(smallest) > LARGEST_SHARE * len(keys):
        return HeldoutSplit(
            frozenset(), "Nearly all rows share images, so none could be held out; give a file of held-out rows"
        )
    notice = f"{len(smallest)} rows are held out instead of {target}: rows that share an image stay together"
    return HeldoutSplit(frozenset(smallest), notice)


class StatisticsBuilder:
    """Adds up rows one by one."""

    def __init__(self) -> None:
        self._bounds = ModelKnobs().min_pixels, ModelKnobs().max_pixels
        self._splits: Counter[str] = Counter()
        self._turns = 0
        self._visual, self._text = array("q"), array("q")
        self._answers: Counter[str] = Counter()
        self._images: dict[str, ImageOutcome] = {}

    def add(self, row: Row, images: Sequence[ImageOutcome]) -> None:
        """Count a row that is kept, with its images in order."""
        self._splits[row.split] += 1
        self._turns += sum(message.role != "system" for message in row.messages)
        self._visual.append(sum(tokens_for_image(p.height, p.width, *self._bounds) for p in images))
        spoken = sum(TURN_TOKENS + estimated_tokens(message.content) for message in row.messages)
        self._text.append(spoken + IMAGE_MARK_TOKENS * len(images))
        self._images |= {image.stored: image for image in images}
        answer = next((m.content for m in reversed(row.messages) if m.role == "assistant"), "").strip()
        self._answers[answer[:MAX_ANSWER_SHOWN]] += 1

    def statistics(self) -> Statistics:
        """The counts so far. Ranges are (smallest, median, largest), zeros where there is nothing."""
        images = self._images.values()
        return Statistics(
            rows=self._splits.total(),
            train_rows=self._splits["train"],
            heldout_rows=self._splits["heldout"],
            turns=self._turns,
            images=len(images),
            image_bytes=sum(image.bytes for image in images),
            width_px=_range([image.width for image in images]),
            height_px=_range([image.height for image in images]),
            visual_tokens=_range(self._visual),
            text_tokens=_range(self._text),
            total_tokens=sum(self._visual) + sum(self._text),
            most_frequent_answers=tuple(self._answers.most_common(MAX_ANSWERS)),
        )


def estimated_tokens(text: str) -> int:
    """Estimate how many tokens a text becomes, without a tokenizer.

    The rule of thumb for Qwen's vocabulary: 1.5 CJK characters are a token, a digit is one, four other characters are
    one.
    """
    wide, digits = len(_WIDE.findall(text)), len(_DIGIT.findall(text))
    return math.ceil(wide / 1.5 + digits + (len(text) - wide - digits) / 4)


class AssembledDataset(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics
    split: SplitRule
    notices: tuple[str, ...]


def assemble(job: ImportJob, gathered: UploadedRows, outcomes: ImageOutcomes, kept: Sequence[bool]) -> AssembledDataset:
    """Write `data.json` and remove images that no row uses.

    Args:
        job: the import.
        gathered: the rows that were understood.
        outcomes: of every image that they name.
        kept: for each row, in order, whether it is imported.

    Raises:
        UploadRefused: no row is left to train on.
    """
    heldout, rule, notices = _split(job, gathered, outcomes, kept)
    if len(heldout) == sum(kept):
        raise UploadRefused(
            "NO_TRAINING_ROWS", f"All {len(heldout):,} good rows of `{quoted(job.source.name)}` are held out"
        )
    tally, ids = StatisticsBuilder(), _IdAllocator()
    used: set[str] = set()
    without_image = 0
    with RowWriter(job.folder) as writer:
        for number, row in enumerate(_only(gathered, kept)):
            images = [outcomes[image.path] for image in row.images]
            stored = Row(
                id=ids.new(content_id(row.messages, [image.stored for image in images])),
                split="heldout" if number in heldout else "train",
                images=tuple(f"{job.images.name}/{image.stored}" for image in images),
                messages=row.messages, source=f"{row.file} {row.unit} {row.line}", references=row.references,
            )  # fmt: skip
            writer.add(stored)
            tally.add(stored, images)
            used.update(image.stored for image in images)
            without_image += not images
    for path in job.images.iterdir():
        if path.name not in used:
            path.unlink()
    if without_image:
        notices.append(f"{counted(without_image, 'row')} without an image, to be learned from as text")
    return AssembledDataset(writer.sha256, tally.statistics(), rule, tuple(notices))


def content_id(messages: Sequence[Message], images: Sequence[str]) -> str:
    """Name a row by what it says and shows, so that it keeps its id wherever it stands.

    Args:
        messages: its turns.
        images: their stored names, such as `3f2a....png`, in order.
    """
    parts = [part for message in messages for part in (message.role, message.content)]
    text = "\0".join([*parts, *images])
    return hashlib.sha256(text.encode()).hexdigest()[:ID_DIGITS]


class _IdAllocator:
    """Hands out ids; rows that are wholly equal are numbered."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = defaultdict(int)

    def new(self, content_id: str) -> str:
        self._seen[content_id] += 1
        count = self._seen[content_id]
        return content_id if count == 1 else f"{content_id}-{count}"


class WrittenRows(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics


def write_with_statistics(room: Path, rows: Iterable[Row], dataset: Path) -> WrittenRows:
    """Write `data.json` and its index into `room`, a folder without them.

    Args:
        room: an existing folder. Left partly filled if this raises.
        rows: in the order of the file.
        dataset: the folder that holds their images; only the headers are read.

    Raises:
        DatasetError: an image cannot be read.
        OSError: the disk refuses.
    """
    tally, known = StatisticsBuilder(), dict[str, ImageOutcome]()
    with RowWriter(room) as writer:
        for row in rows:
            for image in row.images:
                if image not in known:
                    known[image] = _header(dataset / image, row.id)
            writer.add(row)
            tally.add(row, [known[image] for image in row.images])
    return WrittenRows(writer.sha256, tally.statistics())


def _groups(keys: Sequence[Iterable[str]]) -> dict[str, list[int]]:
    """Tie rows together by common keys (union-find); each group is named by its smallest key."""
    parent = list(range(len(keys)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    first_with: dict[str, int] = {}
    for row, names in enumerate(keys):
        for name in names:
            parent[root(row)] = root(first_with.setdefault(name, row))
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row in range(len(keys)):
        rows_of[root(row)].append(row)
    return {min(name for row in rows for name in keys[row]): rows for rows in rows_of.values()}


def _range(values: Sequence[int]) -> tuple[int, int, int]:
    if not values:
        return 0, 0, 0
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _split(
    job: ImportJob, gathered: UploadedRows, outcomes: ImageOutcomes, kept: Sequence[bool]
) -> tuple[frozenset[int], SplitRule, list[str]]:
    """Choose the held-out rows, numbered among those kept."""
    notices = list(gathered.notices)
    options = job.options
    if gathered.is_split or options.heldout is not None:
        chosen = {n: row.file for n, row in enumerate(_only(gathered, kept)) if row.side == "heldout"}
        files = ", ".join(f"`{quoted(file)}`" for file in sorted(set(chosen.values()))[:MAX_FILES_SHOWN])
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


def _report_leaks(job: ImportJob, gathered: UploadedRows, outcomes: ImageOutcomes, kept: Sequence[bool]) -> None:
    """Warn of each image, by content, that given splits have on both sides."""
    sides: dict[str, set[bool]] = defaultdict(set)
    first: dict[str, tuple[ResolvedRow, str]] = {}
    for row in _only(gathered, kept):
        for image, stored in zip(row.images, _stored(row, outcomes), strict=True):
            sides[stored].add(row.side == "heldout")
            if row.side == "heldout":
                first.setdefault(stored, (row, image.written))
    for stored, (row, written) in first.items():
        if len(sides[stored]) > 1:
            place = Place(row.file, row.line, row.record, row.unit)
            job.problems.add("SPLIT_LEAK", place, f"The image `{written}` is in training rows as well", "images")


def _only(gathered: UploadedRows, kept: Sequence[bool]) -> Iterator[ResolvedRow]:
    return (row for row, is_kept in zip(gathered.found(), kept, strict=True) if is_kept)


def _stored(row: ResolvedRow, outcomes: ImageOutcomes) -> list[str]:
    return [outcomes[image.path].stored for image in row.images]


def _header(path: Path, row_id: str) -> ImageOutcome:
    try:
        with Image.open(path, formats=FORMATS) as image:
            return ImageOutcome(width=image.width, height=image.height, stored=path.name, bytes=path.stat().st_size)
    except OSError as error:
        raise DatasetError(
            f"Image `{path.name}` of row `{row_id}` cannot be read", hint="Check the dataset, then import it again"
        ) from error
