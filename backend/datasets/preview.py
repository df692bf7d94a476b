"""What an upload looks like before it is imported: its layout, its columns, and the first rows as they would become."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.conversation import Row
from backend.datasets.json_files import Record
from backend.datasets.layouts import recognise, suggest
from backend.datasets.problems import ProblemList, UploadRefused, refused_by_disk, shown
from backend.datasets.records import ColumnMapping, Inspection, LayoutName
from backend.datasets.row_reader import RowReader, side_of
from backend.datasets.staging import staging_folder
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, open_upload
from backend.jsonl import strict_json
from backend.settings import Workspace

PREVIEW_ROWS = 5
TRIED_ROWS = 50  # rows that are looked at for the preview
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 200


def inspect_upload(workspace: Workspace, source: Path, mapping: ColumnMapping | None) -> Inspection:
    """Look at an upload; images are looked for, but not decoded.

    Args:
        workspace: what must be unpacked to be read goes into its staging folder, and away again.
        source: a zip, a folder, or one annotation file.
        mapping: columns to read as image, question and answer, where the layout is not recognised.

    Raises:
        UploadRefused: it cannot be opened, holds no rows, or lacks the column mapped as the answer.
    """
    try:
        with staging_folder(workspace) as room:
            return _inspect(room, source, mapping)
    except OSError as error:
        raise refused_by_disk(error) from error


def _inspect(room: Path, source: Path, mapping: ColumnMapping | None) -> Inspection:
    problems = ProblemList()
    unpacked, tables = room / "unpacked", room / "tables"
    unpacked.mkdir()
    tables.mkdir()
    upload = open_upload(source, unpacked, problems, wanted=_is_annotation)
    reader = RowReader(upload, tables, mapping, problems)
    known, unknown, total = _first_records(upload, reader)
    if not known and not unknown:
        reader.refuse_unknown()
    preview = list(_preview(known, reader))
    images = {path for name, path in upload.files().items() if not _is_annotation(name) and _may_be_image(name)}
    if mapping is not None and not known:
        raise UploadRefused(
            "LAYOUT_UNKNOWN", f"No row has the column `{shown(mapping.answer)}` that should hold the answer"
        )
    records = known or unknown
    columns = tuple(dict.fromkeys(shown(name) for record in records for name in record.content))
    return Inspection(
        layout=_layout(known, mapping),
        columns=columns,
        suggestion=mapping or suggest(columns),
        first_rows=tuple(_as_texts(record) for record in records[:SHOWN_ROWS]),
        preview=tuple(preview),
        rows=total,
        images=len(images),
        problems=problems.listed(),
    )


def _first_records(upload: Upload, reader: RowReader) -> tuple[list[Record], list[Record], int]:
    """Read the first rows in a known layout, the first of the others, and how many rows there are in all."""
    known: list[Record] = []
    unknown: list[Record] = []
    total = 0
    for name in upload.annotations:
        records, counted = reader.records_of(name, limit=TRIED_ROWS)
        read = 0
        for record in records:
            read += 1
            chosen = known if reader.is_known(record) else unknown
            if len(chosen) < TRIED_ROWS:
                chosen.append(record)
        total += read if counted is None else counted
    return known, unknown, total


def _preview(records: list[Record], reader: RowReader) -> Iterator[Row]:
    """Yield the first good rows as they would be imported, with the images' names as they were written."""
    good = 0
    for record in records:
        found = reader.found(record, side_of(record.place.file))
        if found is not None and good < PREVIEW_ROWS:
            good += 1
            yield Row(
                id=f"row-{good}", split=found.side or "train", images=tuple(p.written for p in found.images),
                messages=found.messages, source=f"{found.file} {found.unit} {found.line}",
            )  # fmt: skip


def _layout(known: list[Record], mapping: ColumnMapping | None) -> LayoutName | None:
    if mapping is not None:
        return "table"
    return recognise(known[0].content) if known else None


def _as_texts(record: Record) -> dict[str, str]:
    return {shown(name): _as_text(value) for name, value in record.content.items()}


def _as_text(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else strict_json(value)
    except RecursionError:
        return "…"
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 1]}…"


def _is_annotation(name: str) -> bool:
    return name.lower().endswith(ANNOTATIONS)


def _may_be_image(name: str) -> bool:
    return is_image(name) or ".parquet/" in name
