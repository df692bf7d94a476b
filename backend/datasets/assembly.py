"""From rows with checked images to the dataset's folder: ids, split, rows, statistics."""

import hashlib
import math
import re
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from backend.conversation import SPLITS, Message, Row, Split
from backend.datasets.coordinate_counts import CoordinateCounts
from backend.datasets.given_split import ChosenSplit, GivenSplit
from backend.datasets.image_pool import ImageOutcome
from backend.datasets.problems import MAX_LISTED, Place, ProblemList, UploadRefused, counted, quoted
from backend.datasets.records import SplitRule, Statistics
from backend.datasets.row_reader import ResolvedRow
from backend.datasets.rows_file import RowWriter, as_line
from backend.datasets.staging import ImportJob
from backend.datasets.turns import RowFault
from backend.datasets.upload_reader import UploadedRows
from backend.image_size import stored_image_size, tokens_for_image
from backend.spec.training import ModelKnobs

MAX_ANSWERS = 10
MAX_ANSWER_SHOWN = 80
TURN_TOKENS = 5  # <|im_start|>, role, newline, <|im_end|>, newline
IMAGE_MARK_TOKENS = 2  # <|vision_start|> and <|vision_end|>
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")  # CJK
_DIGIT = re.compile(r"\d")
MAX_LINES = 1 << 32  # of a file
ID_DIGITS = 12  # of the sha256 of a row's turns and images
ImageOutcomes = Mapping[str, ImageOutcome]  # by the path of the uploaded image


class StatisticsBuilder:
    """Adds up rows one by one."""

    def __init__(self) -> None:
        self._bounds = ModelKnobs().min_pixels, ModelKnobs().max_pixels
        self._turns = 0
        self._visual, self._text = array("q"), array("q")
        self._answers: Counter[str] = Counter()
        self._images: dict[str, ImageOutcome] = {}

    def add(self, row: Row, images: Sequence[ImageOutcome]) -> None:
        """Count a row with its images in order."""
        self._turns += sum(message.role != "system" for message in row.messages)
        self._visual.append(sum(tokens_for_image(p.height, p.width, *self._bounds) for p in images))
        text_tokens = sum(TURN_TOKENS + estimated_tokens(message.content) for message in row.messages)
        self._text.append(text_tokens + IMAGE_MARK_TOKENS * len(images))
        self._images |= {image.stored: image for image in images}
        answer = next((m.content for m in reversed(row.messages) if m.role == "assistant"), "").strip()
        self._answers[answer[:MAX_ANSWER_SHOWN]] += 1

    def build(self, rows_of: Mapping[Split, int]) -> Statistics:
        """The counts so far, with how many of the rows are in each part.

        Ranges are (smallest, median, largest), zeros where there is nothing.
        """
        images, rows = self._images.values(), len(self._text)
        return Statistics(
            rows=rows,
            train_rows=rows_of.get("train", 0),
            validation_rows=rows_of.get("validation", 0),
            test_rows=rows_of.get("test", 0),
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


class ScreenedRows:
    """The rows whose images are all good: in a file, as they will be stored but for their split.

    Of each row stays in memory what the split is chosen by.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.statistics = StatisticsBuilder()
        self.keys: list[list[str]] = []  # for each row what ties it to others: its content id and its images
        self.images: set[str] = set()  # their stored names
        self.without_image = 0  # rows
        self.given = GivenSplit()
        self.coordinates = CoordinateCounts()

    def add(self, row: Row, content: str, images: Sequence[ImageOutcome]) -> None:
        """Count one more row, which was written to the file, with its content id and its images in order."""
        stored = [image.stored for image in images]
        self.statistics.add(row, images)
        self.keys.append([content, *stored])
        self.images.update(stored)
        self.without_image += not images


class RepeatedRows:
    """Finds rows that stand twice, and questions about the same images that have two answers.

    Of each row three numbers stay in memory.
    """

    def __init__(self, problems: ProblemList) -> None:
        self._problems = problems
        self._rows: dict[int, int] = {}  # content -> where it stood first
        self._answers: dict[int, tuple[int, int]] = {}  # question -> its first answer, and where that stood
        self._files: dict[tuple[str, str], int] = {}  # with what their lines are called -> a number
        self._reported: Counter[str] = Counter()

    def add(self, place: Place, row: Row, content: str) -> None:
        """Note one more row with its content id, and report what it repeats."""
        here = self._files.setdefault((place.file, place.unit), len(self._files)) * MAX_LINES + (place.line or 0)
        first = self._rows.setdefault(int(content, 16), here)
        if first != here:
            self._report("ROWS_EQUAL", place, "It is the same as", first)
            return
        answer = row.messages[-1].content
        question = hash((*((turn.role, turn.content) for turn in row.messages[:-1]), *row.images))
        other, first = self._answers.setdefault(question, (hash(answer), here))
        if other != hash(answer):
            self._report("ANSWERS_DIFFER", place, f"It answers `{quoted(answer, 60)}`, and otherwise", first)

    def _report(self, code: str, place: Place, message: str, first: int) -> None:
        self._reported[code] += 1
        if self._reported[code] > MAX_LISTED:
            self._problems.counts[code] += 1
            return
        (file, unit), line = list(self._files)[first // MAX_LINES], first % MAX_LINES
        self._problems.add(code, place, f"{message} {unit} {line:,} of `{quoted(file)}`")


class AssembledDataset(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics
    split: SplitRule
    notices: tuple[str, ...]


def screen(job: ImportJob, uploaded: UploadedRows, outcomes: ImageOutcomes) -> ScreenedRows:
    """Keep the rows whose images are all good and report the others.

    Args:
        job: the import.
        uploaded: the rows that were understood; their file is removed.
        outcomes: of every image that they name.
    """
    screened, ids, repeated = ScreenedRows(job.staging / "screened.jsonl"), _IdAllocator(), RepeatedRows(job.problems)
    with screened.path.open("wb") as sink:
        for resolved in uploaded.rows():
            if _has_vetoed(job, uploaded, resolved):
                continue
            images = [outcomes[image.path] for image in resolved.images]
            if any(image.code for image in images):
                _report_bad_images(job, resolved, images)
                continue
            try:
                split = uploaded.split_reading.split_of(resolved.file, resolved.marks, resolved.split)
            except RowFault as fault:
                job.problems.add(fault.code, resolved.place, fault.message, fault.field)
                continue
            content = content_id(resolved.messages, [image.stored for image in images])
            row = Row(
                id=ids.new(content),
                split="train",
                images=tuple(f"{job.images.name}/{image.stored}" for image in images),
                messages=resolved.messages,
                source=f"{resolved.file} {resolved.unit} {resolved.line}",
                references=resolved.references,
                columns=resolved.columns,
            )
            sink.write(as_line(row) + b"\n")
            screened.add(row, content, images)
            repeated.add(resolved.place, row, content)
            screened.coordinates.add(row, images)
            written = [image.written for image in resolved.images]
            shown = zip((image.stored for image in images), written, strict=True)
            text = quoted(resolved.messages[0].content, MAX_ANSWER_SHOWN)
            screened.given.add(split, resolved.split, resolved.place, shown if images else [(content, text)])
    uploaded.path.unlink()
    return screened


def assemble(job: ImportJob, uploaded: UploadedRows, screened: ScreenedRows) -> AssembledDataset:
    """Write `data.json` and remove images that no row uses.

    Raises:
        UploadRefused: no row is left to train on.
    """
    chosen = _split(job, screened)
    counts = chosen.counts()
    if not counts["train"] and (job.options.validation or job.options.test):
        raise UploadRefused(
            "NO_TRAINING_ROWS",
            f"All {len(chosen.codes):,} good rows of `{quoted(job.source.name)}` are for validation or test",
        )
    with RowWriter(job.folder) as writer, screened.path.open("rb") as lines:
        for number, line in enumerate(lines):
            writer.add_line(line.rstrip(b"\n"), SPLITS[chosen.codes[number]])
    for path in job.images.iterdir():
        if path.name not in screened.images:
            path.unlink()
    notices = [*uploaded.notices, *chosen.notices]
    notices += screened.coordinates.notices()
    if screened.without_image:
        notices.append(f"{counted(screened.without_image, 'row')} without an image, to be learned from as text")
    return AssembledDataset(writer.sha256, screened.statistics.build(counts), chosen.rule, tuple(notices))


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
        self._counts: dict[str, int] = defaultdict(int)

    def new(self, content_id: str) -> str:
        self._counts[content_id] += 1
        count = self._counts[content_id]
        return content_id if count == 1 else f"{content_id}-{count}"


class WrittenRows(NamedTuple):
    """What was written."""

    sha256: str  # of data.json
    statistics: Statistics


def write_with_statistics(folder: Path, rows: Iterable[Row], dataset: Path) -> WrittenRows:
    """Write `data.json` and its index into `folder`.

    Args:
        folder: an existing one without these files. Left partly filled if this raises.
        rows: in the order of the file.
        dataset: the folder that holds their images; only their headers are read.

    Raises:
        DatasetError: an image cannot be read.
        OSError: the disk refuses.
    """
    statistics, outcomes, counts = StatisticsBuilder(), dict[str, ImageOutcome](), Counter[Split]()
    with RowWriter(folder) as writer:
        for row in rows:
            for image in row.images:
                if image not in outcomes:
                    outcomes[image] = _outcome_of(dataset / image, row.id)
            writer.add(row)
            statistics.add(row, [outcomes[image] for image in row.images])
            counts[row.split] += 1
    return WrittenRows(writer.sha256, statistics.build(counts))


def _range(values: Sequence[int]) -> tuple[int, int, int]:
    if not values:
        return 0, 0, 0
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]


def _has_vetoed(job: ImportJob, uploaded: UploadedRows, row: ResolvedRow) -> bool:
    """Report the images of a row that were found by their ending, and that are not the ones meant after all."""
    has_vetoed = False
    for number, image in enumerate(row.images):
        reason = uploaded.vetoes.get((row.file, image.by_ending)) if image.by_ending else None
        if reason:
            code = "IMG_NOT_FOUND" if reason.startswith("is not") else "IMG_AMBIGUOUS"
            job.problems.add(code, row.place, f"images[{number}] `{image.written}` {reason}", f"images[{number}]")
            has_vetoed = True
    return has_vetoed


def _report_bad_images(job: ImportJob, row: ResolvedRow, images: Sequence[ImageOutcome]) -> None:
    for number, (image, outcome) in enumerate(zip(row.images, images, strict=True)):
        if outcome.code:
            message = f"images[{number}] `{image.written}` {outcome.message}"
            job.problems.add(outcome.code, row.place, message, f"images[{number}]")


def _split(job: ImportJob, screened: ScreenedRows) -> ChosenSplit:
    """Choose the part of every screened row, and report images that two parts show."""
    options = job.options
    is_explicit = options.validation is not None or options.test is not None
    chosen = screened.given.choose(screened.keys, options.validation_share, options.seed, is_explicit=is_explicit)
    for place, message in screened.given.leaks(chosen, screened.keys):
        job.problems.add("SPLIT_LEAK", place, message, "images")
    return chosen


def _outcome_of(path: Path, row_id: str) -> ImageOutcome:
    """What a worker said of an image that is stored."""
    height, width = stored_image_size(path, row_id)
    return ImageOutcome(width=width, height=height, stored=path.name, bytes=path.stat().st_size)
