"""From the files of an upload to rows that are understood, whose images are found but not yet looked at."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict

from backend.conversation import Message, Split
from backend.datasets.columns import REFERENCES, FileColumns, has_answer
from backend.datasets.encodings import Encoding, encoding_of
from backend.datasets.formats import is_template
from backend.datasets.image_cells import images_in_cell
from backend.datasets.image_resolver import ImageResolver, UnresolvedImageError
from backend.datasets.joined_questions import QuestionsApart
from backend.datasets.json_rows import RawRow, json_rows
from backend.datasets.layouts import (
    ConvertedRow,
    accepted_answers,
    convert,
    other_than,
    recognise,
    unused,
)
from backend.datasets.problems import MAX_LISTED, Place, ProblemList, UploadRefused, counted, quoted
from backend.datasets.records import ColumnMapping, LayoutName
from backend.datasets.split_column import Mark, SplitColumns, marks_of
from backend.datasets.split_names import FileSplits, file_splits
from backend.datasets.staging import ImportOptions
from backend.datasets.table_rows import WORKERS, converted_rows, table_rows
from backend.datasets.turns import RowFault, faults_of, with_trimmed_placeholders
from backend.datasets.upload import Upload
from backend.jsonl import strict_json

SURVEYED_ROWS = 200  # of each file, by which its columns are judged
MAX_FILES_SHOWN = 8
MAX_EXAMPLE = 60  # characters
MAX_KEPT_CHARACTERS = 65_536  # of a row's other columns
MAX_COLUMNS_SHOWN = 12


class ResolvedImage(BaseModel):
    """An image that a row names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    written: str  # in the row
    path: str  # on this machine
    by_ending: str = ""  # the path that fits by its ending only


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
    columns: dict[str, Any] = {}  # what else the row holds

    @property
    def place(self) -> Place:
        """Where it stands in the upload."""
        return Place(self.file, self.line, self.record, self.unit)


@dataclass(slots=True)
class FileCounts:
    """How many rows of a file were read, and what became of them."""

    rows: int = 0  # good or not
    recognised: int = 0
    good: int = 0
    with_image: int = 0
    bare: Place | None = None  # the first good row without an image
    choices: ColumnMapping | None = None  # how its choices were read


@dataclass(slots=True)
class UnusedColumn:
    """A column that plays no part, in the rows of all files that hold something in it."""

    file: str  # the first one
    example: str
    rows: int = 0
    is_text: bool = False  # sentences
    images: bool = False  # names of images


class RowReader:
    """Reads the rows of one upload. After reading, `notices` tells what the person should know."""

    def __init__(self, upload: Upload, table_folder: Path, options: ImportOptions, problems: ProblemList) -> None:
        """Prepare to read; `table_folder` exists, for what lies inside tables."""
        self._upload, self._table_folder, self._options, self._problems = upload, table_folder, options, problems
        embedded = table_folder.with_name("embedded")
        embedded.mkdir(exist_ok=True)
        self.image_resolver = ImageResolver(upload, embedded)
        self.layouts: Counter[LayoutName] = Counter()
        self.columns: dict[str, None] = {}  # of rows that were not recognised, in their order
        self.counts: dict[str, FileCounts] = {}
        self.encodings: dict[str, Encoding] = {}  # of the text files that were opened
        self._doubts: dict[str, str] = {}  # what keeps the rows of a file from being understood
        self._unused: dict[str, UnusedColumn] = {}
        self._questions_of = QuestionsApart()
        self._templates: Counter[str] = Counter()  # questions that no person wrote, and how many rows have them
        self.split_columns = SplitColumns(options.mapping.split if options.mapping else "")
        self._given_split: Split | None = None  # of every row, where a person says so

    def rows(self, split: Split | None = None) -> Iterator[ResolvedRow]:
        """Yield every good row of every file; report the others. `split` overrides what names and rows say."""
        self._given_split = split
        self._questions_of = self._questions_apart()
        for name in self._upload.annotations:
            if name not in self._questions_of.files:
                yield from self._resolved_rows_of(name)
        self._report_bare_rows()
        for name, column in self._unused.items():
            self._report_unused(name, column)

    @cached_property
    def _file_splits(self) -> FileSplits:
        return file_splits(self._upload.annotations)

    @property
    def notices(self) -> list[str]:
        """What was done of its own accord."""
        notices = [self.image_resolver.notice(), self._questions_of.notice()]
        for name, encoding in self.encodings.items():
            if encoding.fits and not encoding.is_unicode:
                notices.append(f"`{quoted(name, 60)}` was read as `{encoding.name}`; check how its texts look")
        for name, counts in self.counts.items():
            if counts.choices:
                listed_columns = ", ".join(f"`{quoted(column, 40)}`" for column in counts.choices.choices)
                letters = (
                    "" if counts.choices.first_choice is None else "; answers that number a choice became its letter"
                )
                notices.append(
                    f"The choices in {listed_columns} of `{quoted(name, 60)}` stand under the question{letters}"
                )
        for question, count in list(self._templates.items())[:MAX_FILES_SHOWN]:
            shown = self._options.template or question
            notices.append(f"{counted(count, 'row')} made of annotations ask: `{quoted(shown, 300)}`")
        files = {name: each.good for name, each in self.counts.items() if each.good}
        if len(files) > 1:
            listed_files = [
                f"{count:,} of `{quoted(name, 60)}`" for name, count in list(files.items())[:MAX_FILES_SHOWN]
            ]
            more = f" and {len(files) - MAX_FILES_SHOWN} more files" if len(files) > MAX_FILES_SHOWN else ""
            notices.append(f"Rows by file: {', '.join(listed_files)}{more}")
        splits = self.split_columns.reading()
        columns = [name for name in self._unused if name not in splits.columns]
        if columns:
            unused = ", ".join(f"`{quoted(name, 40)}`" for name in columns[:MAX_COLUMNS_SHOWN])
            notices.append(f"Columns that are in no message, and that rewards get by their names: {unused}")
        notices += [*(() if self._given_split else self._file_splits.notices), *splits.notices]
        return [notice for notice in notices if notice]

    def refuse_unrecognised(self) -> None:
        """Raise UploadRefused where no row of any file was recognised."""
        if self.layouts:
            return
        if self.columns and any(each.rows for each in self.counts.values()):
            doubt = next(iter(self._doubts.values()), "")
            named = ", ".join(f"`{quoted(name, 40)}`" for name in list(self.columns)[:MAX_COLUMNS_SHOWN])
            message = f"The rows of `{quoted(self._upload.title)}` are in no known layout; their fields are {named}"
            raise UploadRefused(
                "LAYOUT_UNKNOWN", f"{message}: {doubt}" if doubt else message, problems=self._problems.listed()
            )
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
        if suffix in WORKERS:
            inside = self._table_folder / f"table-{len(list(self._table_folder.iterdir())):03d}"
            inside.mkdir()
            return converted_rows(self._upload, name, inside, self._problems, limit)
        encoding = encoding_of(path, self._options.encoding)
        self.encodings[name] = encoding
        if encoding.examples:
            likely = ", ".join(f"`{other}` (`{quoted(text)}`)" for other, text in encoding.examples)
            self._problems.add(
                "TEXT_ENCODING", Place(name), f"It is not UTF-8, and nobody can tell whether it is {likely}"
            )
            return iter(()), 0
        rows = table_rows if suffix in (".csv", ".tsv") else json_rows
        return rows(path, name, self._problems, encoding), None

    def columns_of(self, raw_rows: Sequence[RawRow]) -> FileColumns:
        """Judge the columns of a file by its first rows."""
        annotation = raw_rows[0].place.file if raw_rows else ""
        return FileColumns(
            [raw.content for raw in raw_rows], lambda value: self._names_image(value, annotation), self._options.mapping
        )

    def layout_of(self, raw: RawRow, columns: FileColumns) -> LayoutName | None:
        """Name the layout of a row; None where it is in none, or lacks the column that was mapped as the answer."""
        if self._options.mapping is not None:
            return (
                (recognise(raw.content, columns.mapping) or "table")
                if has_answer(columns.mapping, raw.content)
                else None
            )
        return None if columns.doubt else recognise(raw.content, columns.mapping_of(raw.content))

    def resolve_row(self, raw: RawRow, mapping: ColumnMapping, layout: LayoutName = "table") -> ResolvedRow | None:
        """Understand one row of a known layout; None where a problem was reported."""
        place, content = raw
        try:
            converted = convert(content, mapping, lambda name: self.image_resolver.is_uploaded(name, place.file))
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
        marks = () if self._given_split else marks_of(content, mapping.split)
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
            columns=self._kept_columns(content, mapping),
        )

    def doubt(self, with_images: bool) -> tuple[str, str] | None:
        """A code and what should be asked before rows are learned from; None where nothing is in doubt.

        Args:
            with_images: the upload holds images that no row names.
        """
        bare = [name for name, each in self.counts.items() if each.good and not each.with_image]
        if not with_images or not bare or self._options.text_rows:
            return None
        rows = sum(self.counts[name].good for name in bare)
        files = ", ".join(f"`{quoted(name, 60)}`" for name in bare[:MAX_FILES_SHOWN])
        examples = "; ".join(f"`{quoted(name, 40)}`: `{each.example}`" for name, each in list(self._unused.items())[:4])
        shown = f". Columns that play no part: {examples}" if examples else ""
        return "IMAGES_UNNAMED", f"{counted(rows, 'row')} of {files} name no image, and images lie beside them{shown}"

    def _resolved_rows_of(self, name: str) -> Iterator[ResolvedRow]:
        unrecognised: list[Place] = []
        counts = self.counts[name] = FileCounts()
        raw_rows, _ = self.rows_of_file(name)
        raw_rows = self._questions_of.joined(raw_rows)
        first = list(itertools.islice(raw_rows, SURVEYED_ROWS))
        columns = self.columns_of(first)
        for raw in map(self._with_template, itertools.chain(first, raw_rows)):
            counts.rows += 1
            layout = self.layout_of(raw, columns)
            if layout is None:
                unrecognised += [raw.place] if len(unrecognised) < MAX_LISTED else []
                self.columns |= dict.fromkeys(raw.content) if not counts.recognised else {}
                continue
            counts.recognised += 1
            mapping = columns.mapping_of(raw.content)
            row = self.resolve_row(raw, mapping, layout)
            self.layouts[layout] += 1
            if row is not None:
                counts.good += 1
                counts.with_image += bool(row.images)
                counts.bare = counts.bare or (None if row.images else row.place)
                counts.choices = mapping if mapping.choices else counts.choices
                self._note_unused(raw.place.file, row.columns, columns)
                yield row
        missing_count = counts.rows - counts.recognised
        if missing_count and not counts.recognised:
            self._doubts[name] = columns.doubt
            fields = ", ".join(f"`{quoted(column, 40)}`" for column in list(self.columns)[:MAX_COLUMNS_SHOWN])
            why = f"Its {missing_count:,} rows are in no known layout: {self._doubts[name] or fields}"
            self._problems.add("FILE_SKIPPED", Place(name), why)
        elif missing_count:
            for place in unrecognised:
                self._problems.add("ROW_UNRECOGNISED", place, "It lacks the fields that the other rows have")
            self._problems.counts["ROW_UNRECOGNISED"] += missing_count - len(unrecognised)

    def _with_template(self, raw: RawRow) -> RawRow:
        """The row of a format with the question that a person wrote instead of the stated one."""
        question = raw.content.get("question")
        if not isinstance(question, str) or not is_template(question):
            return raw
        self._templates[question] += 1
        given = self._options.template
        return raw._replace(content=raw.content | {"question": given}) if given else raw

    def _questions_apart(self) -> QuestionsApart:
        """Read the files that hold only questions, as VQA has them, where others hold the answers by their ids."""
        apart = QuestionsApart()
        if len(self._upload.annotations) > 1:
            for name in self._upload.annotations:
                if "question" in name.lower():
                    raw_rows, _ = self.rows_of_file(name)
                    apart.take(name, raw_rows)
        return apart

    def _names_image(self, value: Any, annotation: str) -> bool:
        """Whether a cell, or each entry of a list in it, names an image."""
        try:
            named = images_in_cell(value, "", lambda name: self.image_resolver.is_uploaded(name, annotation))
        except RowFault:
            return False
        return bool(named) and all(self.image_resolver.may_be_named_by(each, annotation) for each in named)

    def _kept_columns(self, content: dict[str, Any], mapping: ColumnMapping) -> dict[str, Any]:
        """What a row holds beside its messages, for rewards."""
        kept = dict(unused(content, mapping))
        return kept if kept and len(strict_json(kept)) <= MAX_KEPT_CHARACTERS else {}

    def _accepted_answers_of(self, raw: RawRow, gold: str) -> tuple[str, ...]:
        """The other answers that a row accepts; none and a warning where they cannot be read."""
        if not any(name in raw.content for name in REFERENCES):
            return ()
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
                match = self.image_resolver.resolve(written, place.file)
                images.append(
                    ResolvedImage(written=quoted(written, 120), path=str(match.path), by_ending=match.by_ending)
                )
            except UnresolvedImageError as error:
                self._problems.add(error.code, place, f"{field} {error.message}", field)
        return images

    def _report_bare_rows(self) -> None:
        """Say which files hold rows without an image, where others have one."""
        if not any(each.with_image for each in self.counts.values()):
            return
        for each in self.counts.values():
            bare_count = each.good - each.with_image
            if each.bare is not None:
                message = f"It names no image, like {bare_count:,} of the file's {each.good:,} good rows"
                self._problems.add("ROWS_TEXT_ONLY", each.bare, message, count=bare_count)

    def _report_unused(self, name: str, column: UnusedColumn) -> None:
        rows, example = counted(column.rows, "row"), f"e.g. `{column.example}`"
        if column.images:
            message = f"`{quoted(name, 40)}` names images in {rows} that are not shown, {example}"
            self._problems.add("COLUMN_IMAGES", Place(column.file), message, name, count=column.rows)
        elif column.is_text:
            message = f"`{quoted(name, 40)}` holds texts in {rows} that are in no message, {example}"
            self._problems.add("COLUMN_UNUSED", Place(column.file), message, name, count=column.rows)

    def _note_unused(self, file: str, kept: dict[str, Any], columns: FileColumns) -> None:
        for name, value in kept.items():
            column = self._unused.get(name)
            if column is None:
                column = self._unused[name] = UnusedColumn(file, quoted(str(value), MAX_EXAMPLE))
            column.rows += 1
            column.is_text |= name in columns.free_texts
            column.images |= name in columns.other_images
