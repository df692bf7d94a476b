"""From the files of an upload to rows that are understood, whose images are found but not yet looked at."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message, Split
from backend.datasets.image_resolver import ImageResolver, UnresolvedImageError
from backend.datasets.json_rows import RawRow, json_rows
from backend.datasets.layouts import (
    HELDOUT_WORDS,
    TRAIN_WORDS,
    ConvertedRow,
    accepted_answers,
    convert,
    other_than,
    recognise,
    unused_columns,
)
from backend.datasets.problems import MAX_LISTED, Place, ProblemList, UploadRefused, counted, quoted
from backend.datasets.records import ColumnMapping, LayoutName
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
    side: Split | None  # what the row or its file's name says
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

    def rows(self, side: Split | None = None) -> Iterator[ResolvedRow]:
        """Yield every good row of every file; report the others. `side` overrides what names say."""
        for name in self._upload.annotations:
            yield from self._resolved_rows_of(name, side or side_of(name))

    @property
    def notices(self) -> list[str]:
        """What was done of its own accord."""
        matched = self._image_resolver.notice()
        unused = ", ".join(f"`{quoted(name, 40)}`" for name in list(self._unused)[:MAX_COLUMNS_SHOWN])
        return ([matched] if matched else []) + ([f"Columns that were not used: {unused}"] if unused else [])

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

    def resolve_row(self, raw: RawRow, side: Split | None = None) -> ResolvedRow | None:
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
        return ResolvedRow(
            file=place.file,
            line=place.line or 0,
            unit=place.unit,
            record=place.record,
            layout=layout,
            side=converted.split or side,
            messages=messages,
            images=tuple(images),
            references=self._accepted_answers_of(raw, messages[-1].content),
        )

    def is_recognised(self, raw: RawRow) -> bool:
        """Tell whether a row is in a known layout, or has the column that was mapped as the answer."""
        if self._mapping is not None:
            return self._mapping.answer in raw.content
        return recognise(raw.content) is not None

    def _resolved_rows_of(self, name: str, side: Split | None) -> Iterator[ResolvedRow]:
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
            row = self.resolve_row(raw, side)
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


def side_of(name: str) -> Split | None:
    """Tell from a file's name, or its folder's, whether its rows are for training or held out."""
    path = PurePosixPath(name.lower())
    words = {path.parent.name, path.stem} | {re.split(r"[-_.]", path.stem)[end] for end in (0, -1)}
    if words & HELDOUT_WORDS:
        return "heldout"
    return "train" if words & TRAIN_WORDS else None


@dataclass(slots=True)
class UploadedRows:
    """What was read; the rows themselves rest in a file."""

    path: Path
    images: dict[str, str] = field(default_factory=dict)  # path -> as the first row that names it wrote it
    packed_bytes: dict[str, int] = field(default_factory=dict)  # path of an image -> what it took as it was uploaded
    layouts: Counter[LayoutName] = field(default_factory=Counter)
    sides: Counter[Split | None] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)  # of the files with rows

    def rows(self) -> Iterator[ResolvedRow]:
        """Read the rows again, in order."""
        with self.path.open(encoding="utf-8", newline="\n") as source:
            for line in source:
                yield ResolvedRow.model_validate_json(line)

    @property
    def is_split(self) -> bool:
        """Whether the upload itself says which rows are held out."""
        return 0 < self.sides["heldout"] < self.sides.total()


def read_upload(job: ImportJob) -> UploadedRows:
    """Read the upload, and the second one with held-out rows where there is one.

    Raises:
        UploadRefused: an archive breaks a rule, nothing holds rows, or no row is in a known layout.
    """
    uploaded = UploadedRows(job.staging / "resolved.jsonl")
    with uploaded.path.open("w", encoding="utf-8") as sink:
        for source, side in ((job.source, None), (job.options.heldout, "heldout")):
            if source is None:
                continue
            upload, reader = _open_reader(job, source)
            if side is None:
                _exclude_heldout_file(upload, job.options.heldout)
            for row in reader.rows(side):  # type: ignore[arg-type]  # a Literal in a tuple
                sink.write(row.model_dump_json() + "\n")
                _count_row(row, upload, uploaded, job)
            reader.refuse_unrecognised()
            uploaded.layouts += reader.layouts
            uploaded.notices += reader.notices
            _hash_annotations(upload, uploaded)
            _report_unused(upload, uploaded, job)
    return uploaded


def _open_reader(job: ImportJob, source: Path) -> tuple[Upload, RowReader]:
    folder = job.staging / f"upload-{len(list(job.staging.iterdir()))}"
    unpacked, tables = folder / "unpacked", folder / "tables"
    unpacked.mkdir(parents=True)
    tables.mkdir()
    upload = open_upload(source, unpacked, job.problems)
    return upload, RowReader(upload, tables, job.options.mapping, job.problems)


def _exclude_heldout_file(upload: Upload, heldout: Path | None) -> None:
    """Do not read a file of held-out rows a second time where it lies in the folder that is imported."""
    if heldout is not None:
        paths = {name: upload.path_of(name) for name in upload.annotations}
        upload.annotations = [n for n, path in paths.items() if path is None or path.resolve() != heldout.resolve()]


def _count_row(row: ResolvedRow, upload: Upload, uploaded: UploadedRows, job: ImportJob) -> None:
    uploaded.sides[row.side] += 1
    for image in row.images:
        if image.path not in uploaded.images:
            uploaded.images[image.path] = image.written
            uploaded.packed_bytes[image.path] = upload.packed_bytes(Path(image.path))
    if uploaded.sides.total() % REPORT_EVERY == 0:
        job.report_progress(READING_SHARE, f"Reading rows: {uploaded.sides.total():,}")


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
