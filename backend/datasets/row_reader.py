"""From the files of an upload to rows that are understood, whose images are found but not yet looked at."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message, Split
from backend.datasets.image_resolver import ImageResolver, UnresolvedImageError
from backend.datasets.json_rows import RawRow, json_rows
from backend.datasets.layouts import (
    ConvertedRow,
    accepted_answers,
    convert,
    other_than,
    recognise,
    unused_columns,
)
from backend.datasets.problems import MAX_LISTED, Place, ProblemList, UploadRefused, counted, quoted
from backend.datasets.records import ColumnMapping, LayoutName
from backend.datasets.split_column import Mark, SplitColumns, SplitReading, marks_of
from backend.datasets.split_names import FileSplits, file_splits
from backend.datasets.staging import ImportJob
from backend.datasets.table_rows import parquet_rows, table_rows
from backend.datasets.turns import RowFault, faults_of, with_trimmed_placeholders
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, open_upload

MAX_COLUMNS_SHOWN = 12
REPORT_EVERY = 200
READING_SHARE = 0.15  # of the whole import, for the progress bar, which cannot know how many rows will come


class ResolvedImage(BaseModel):
    """An image that a row names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    written: str  # in the row
    path: str  # on this machine


class ResolvedRow(BaseModel):
    """A row that is understood; rests on disk until its images are checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    line: int
    unit: str
    record: str
    layout: LayoutName
    split: Split | None  # what its file's name says
    marks: tuple[Mark, ...] = ()  # what stands in the columns that may be its split
    messages: tuple[Message, ...]
    images: tuple[ResolvedImage, ...]
    references: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it stands in the upload."""
        return Place(self.file, self.line, self.record, self.unit)


class RowReader:
    """Reads the rows of one upload. After reading, `notices` tells what the person should know."""

    def __init__(
        self, upload: Upload, table_folder: Path, mapping: ColumnMapping | None, problems: ProblemList
    ) -> None:
        """Prepare to read; `table_folder` exists, for what lies inside tables."""
        self._upload, self._table_folder, self._mapping, self._problems = upload, table_folder, mapping, problems
        self._image_resolver = ImageResolver(upload)
        self.layouts: Counter[LayoutName] = Counter()
        self.columns: dict[str, None] = {}  # of rows that were not recognised, in their order
        self._row_count = 0  # rows of all files, good or not
        self._unused: dict[str, None] = {}  # columns of tables that are in no message
        self.split_columns = SplitColumns()
        self._given_split: Split | None = None  # of every row, where a person says so

    def rows(self, split: Split | None = None) -> Iterator[ResolvedRow]:
        """Yield every good row of every file; report the others. `split` overrides what names and rows say."""
        self._given_split = split
        for name in self._upload.annotations:
            yield from self._resolved_rows_of(name)

    @cached_property
    def _file_splits(self) -> FileSplits:
        return file_splits(self._upload.annotations)

    @property
    def notices(self) -> list[str]:
        """What was done of its own accord."""
        matched = self._image_resolver.notice()
        splits = self.split_columns.reading()
        names = [name for name in self._unused if name not in splits.columns]
        unused = ", ".join(f"`{quoted(name, 40)}`" for name in names[:MAX_COLUMNS_SHOWN])
        notices = ([matched] if matched else []) + ([f"Columns that were not used: {unused}"] if unused else [])
        return [*notices, *(() if self._given_split else self._file_splits.notices), *splits.notices]

    def refuse_unrecognised(self) -> None:
        """Raise UploadRefused where no row of any file was recognised."""
        if self.layouts:
            return
        if self._row_count and self.columns:
            named = ", ".join(f"`{quoted(name, 40)}`" for name in list(self.columns)[:MAX_COLUMNS_SHOWN])
            message = f"The rows of `{quoted(self._upload.title)}` are in no known layout; their fields are {named}"
            raise UploadRefused("LAYOUT_UNKNOWN", message, problems=self._problems.listed())
        why = f"found {counted(self._problems.errors, 'problem')}" if self._problems.errors else "there are none"
        message = f"No rows could be read from `{quoted(self._upload.title)}`: {why}"
        first = next(iter(self._problems.listed()), None)
        hint = f"The first: {first.message}. {first.hint}" if first and first.severity == "error" else ""
        raise UploadRefused("NO_ROWS", message, hint=hint, problems=self._problems.listed())

    def rows_of_file(self, name: str, limit: int = 0) -> tuple[Iterator[RawRow], int | None]:
        """Read one file's rows, of a parquet file `limit` at most; and how many it has where that is known."""
        path = self._upload.path_of(name)
        if path is None:
            raise FileNotFoundError(name)
        suffix = PurePosixPath(name).suffix.lower()
        if suffix == ".parquet":
            inside = self._table_folder / f"table-{len(list(self._table_folder.iterdir())):03d}"
            inside.mkdir()
            return parquet_rows(self._upload, name, inside, self._problems, limit)
        if suffix in (".csv", ".tsv"):
            return table_rows(path, name, self._problems), None
        return json_rows(path, name, self._problems), None

    def resolve_row(self, raw: RawRow) -> ResolvedRow | None:
        """Understand one row; None where a problem was reported, or it is in no known layout."""
        place, content = raw
        try:
            converted = convert(content, self._mapping)
        except RowFault as fault:
            self._problems.add(fault.code, place, fault.message, fault.field)
            return None
        messages = with_trimmed_placeholders(converted.messages)
        faults = list(faults_of(messages, len(converted.images)))
        for each in faults:
            self._problems.add(each.code, place, each.message, each.field)
        images = self._resolved_images(converted, place)
        if faults or len(images) < len(converted.images):
            return None
        layout = self._layout_of(raw)
        if layout == "table" and len(self._unused) < MAX_COLUMNS_SHOWN:
            self._unused |= dict.fromkeys(unused_columns(content, self._mapping))
        marks = () if self._given_split else marks_of(content)
        self.split_columns.count(place.file, marks)
        return ResolvedRow(
            file=place.file,
            line=place.line or 0,
            unit=place.unit,
            record=place.record,
            layout=layout,
            split=self._given_split or self._file_splits.splits.get(place.file),
            marks=marks,
            messages=messages,
            images=tuple(images),
            references=self._accepted_answers_of(raw, messages[-1].content),
        )

    def is_recognised(self, raw: RawRow) -> bool:
        """Tell whether a row is in a known layout, or has the column that was mapped as the answer."""
        if self._mapping is not None:
            return self._mapping.answer in raw.content
        return recognise(raw.content) is not None

    def _resolved_rows_of(self, name: str) -> Iterator[ResolvedRow]:
        unrecognised: list[Place] = []
        unrecognised_count = recognised_count = 0
        raw_rows, _ = self.rows_of_file(name)
        for raw in raw_rows:
            self._row_count += 1
            if not self.is_recognised(raw):
                unrecognised_count += 1
                unrecognised += [raw.place] if len(unrecognised) < MAX_LISTED else []
                self.columns |= dict.fromkeys(raw.content) if not recognised_count else {}
                continue
            recognised_count += 1
            row = self.resolve_row(raw)
            self.layouts[self._layout_of(raw)] += 1
            if row is not None:
                yield row
        if unrecognised_count and not recognised_count:
            fields = ", ".join(f"`{quoted(column, 40)}`" for column in list(self.columns)[:MAX_COLUMNS_SHOWN])
            self._problems.add(
                "FILE_SKIPPED", Place(name), f"Its {unrecognised_count:,} rows are in no known layout: {fields}"
            )
        elif unrecognised_count:
            for place in unrecognised:
                self._problems.add("ROW_UNRECOGNISED", place, "It lacks the fields that the other rows have")
            self._problems.counts["ROW_UNRECOGNISED"] += unrecognised_count - len(unrecognised)

    def _layout_of(self, raw: RawRow) -> LayoutName:
        """The layout of a row that is known to have one."""
        return "table" if self._mapping is not None else recognise(raw.content) or "table"

    def _accepted_answers_of(self, raw: RawRow, gold: str) -> tuple[str, ...]:
        """The other answers that a row accepts; none and a warning where they cannot be read."""
        try:
            return other_than(gold, accepted_answers(raw.content))
        except RowFault as fault:
            self._problems.add(fault.code, raw.place, fault.message, fault.field)
            return ()

    def _resolved_images(self, converted: ConvertedRow, place: Place) -> list[ResolvedImage]:
        images = []
        for number, written in enumerate(converted.images):
            field = f"images[{number}]"
            try:
                path = self._image_resolver.resolve(written, place.file)
                images.append(ResolvedImage(written=quoted(written), path=str(path)))
            except UnresolvedImageError as error:
                self._problems.add(error.code, place, f"{field} {error.message}", field)
        return images


@dataclass(slots=True)
class UploadedRows:
    """What was read; the rows themselves rest in a file."""

    path: Path
    images: dict[str, str] = field(default_factory=dict)  # path -> as the first row that names it wrote it
    packed_bytes: dict[str, int] = field(default_factory=dict)  # path of an image -> what it took as it was uploaded
    layouts: Counter[LayoutName] = field(default_factory=Counter)
    row_count: int = 0
    split_reading: SplitReading = field(default_factory=SplitColumns().reading)
    notices: list[str] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)  # of the files with rows

    def rows(self) -> Iterator[ResolvedRow]:
        """Read the rows again, in order."""
        with self.path.open(encoding="utf-8", newline="\n") as source:
            for line in source:
                yield ResolvedRow.model_validate_json(line)


def read_upload(job: ImportJob) -> UploadedRows:
    """Read the upload, and those of validation and test rows where there are some.

    Raises:
        UploadRefused: an archive breaks a rule, nothing holds rows, or no row is in a known layout.
    """
    uploaded = UploadedRows(job.staging / "resolved.jsonl")
    with uploaded.path.open("w", encoding="utf-8") as sink:
        for source, split in _sources(job):
            upload, reader = _open_reader(job, source)
            if split is None:
                _exclude_files(upload, [given for given, part in _sources(job) if part])
            for row in reader.rows(split):
                sink.write(row.model_dump_json() + "\n")
                _count_row(row, upload, uploaded, job)
            reader.refuse_unrecognised()
            uploaded.layouts += reader.layouts
            uploaded.notices += reader.notices
            uploaded.split_reading = reader.split_columns.reading() if split is None else uploaded.split_reading
            _hash_annotations(upload, uploaded)
            _report_unused(upload, uploaded, job)
    return uploaded


def _sources(job: ImportJob) -> list[tuple[Path, Split | None]]:
    """Every upload of the import, and the part that a person said its rows are."""
    given: list[tuple[Path | None, Split]] = [(job.options.validation, "validation"), (job.options.test, "test")]
    return [(job.source, None), *((source, split) for source, split in given if source is not None)]


def _open_reader(job: ImportJob, source: Path) -> tuple[Upload, RowReader]:
    folder = job.staging / f"upload-{len(list(job.staging.iterdir()))}"
    unpacked, tables = folder / "unpacked", folder / "tables"
    unpacked.mkdir(parents=True)
    tables.mkdir()
    upload = open_upload(source, unpacked, job.problems)
    return upload, RowReader(upload, tables, job.options.mapping, job.problems)


def _exclude_files(upload: Upload, given: list[Path]) -> None:
    """Do not read a file of a given part a second time where it lies in the folder that is imported."""
    given_files = {path.resolve() for path in given}
    paths = {name: upload.path_of(name) for name in upload.annotations} if given_files else {}
    given_names = {name for name, path in paths.items() if path is not None and path.resolve() in given_files}
    upload.annotations = [name for name in upload.annotations if name not in given_names]


def _count_row(row: ResolvedRow, upload: Upload, uploaded: UploadedRows, job: ImportJob) -> None:
    uploaded.row_count += 1
    for image in row.images:
        if image.path not in uploaded.images:
            uploaded.images[image.path] = image.written
            uploaded.packed_bytes[image.path] = upload.packed_bytes(Path(image.path))
    if uploaded.row_count % REPORT_EVERY == 0:
        job.report_progress(READING_SHARE, f"Reading rows: {uploaded.row_count:,}")


def _hash_annotations(upload: Upload, uploaded: UploadedRows) -> None:
    for name in upload.annotations:
        path = upload.path_of(name)
        if path is not None:
            with path.open("rb") as source:
                uploaded.digest.update(name.encode() + hashlib.file_digest(source, "sha256").digest())


def _report_unused(upload: Upload, uploaded: UploadedRows, job: ImportJob) -> None:
    if upload.title.lower().endswith(ANNOTATIONS):
        return  # the folder around a single file is not what was uploaded
    unused = [name for name, path in upload.files().items() if is_image(name) and str(path) not in uploaded.images]
    if unused:
        message = f"{counted(len(unused), 'image')} that no good row names, e.g. `{quoted(unused[0])}`"
        job.problems.add("IMG_UNREFERENCED", Place(upload.title), message, count=len(unused))
