"""Look at an upload, or import it: the whole dataset appears at once or not at all."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.conversation import Row
from backend.datasets.assembly import ImageOutcomes, assemble
from backend.datasets.decoding_limits import most_bytes
from backend.datasets.image_pool import ImageOutcome, ImagePool
from backend.datasets.json_rows import RawRow
from backend.datasets.layouts import recognise, suggest
from backend.datasets.problems import Place, ProblemList, UploadRefused, counted, quoted, refused_by_disk
from backend.datasets.records import ColumnMapping, ImportReport, Inspection, LayoutName, Manifest
from backend.datasets.row_reader import READING_SHARE, RowReader, UploadedRows, read_upload, side_of
from backend.datasets.staging import (
    ImportJob,
    ImportOptions,
    Progress,
    find_same_upload,
    name_for,
    publish,
    refuse_taken_name,
    staging_folder,
    sweep_staging,
)
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, open_upload
from backend.jsonl import strict_json
from backend.settings import Workspace

CHECKED_SHARE = 0.9  # of the whole import, for the progress bar
REPORT_EVERY = 20
PREVIEW_ROWS = 5
TRIED_ROWS = 50  # rows that are looked at for the preview
SHOWN_ROWS = 5
SHOWN_CHARACTERS = 200


def import_upload(
    workspace: Workspace, source: Path, options: ImportOptions, progress: Progress | None
) -> ImportReport:
    """Bring an upload into `data/<name>/`.

    Args:
        workspace: where datasets lie.
        source: a zip, a folder, or one annotation file beside its images.
        options: name, split, mapping and strictness.
        progress: told the share done, from 0 to 1, and what is being done. It may raise to cancel.

    Returns:
        The new manifest, or the known one where the same upload is here already.

    Raises:
        DatasetError: nothing was imported, and nothing is left behind; an UploadRefused carries code and problems.
    """
    name = name_for(options.name, source)
    try:
        sweep_staging(workspace)
        with staging_folder(workspace) as room:
            job = ImportJob(source, options, room, ProblemList(), progress or _ignore_progress)
            return _import(job, workspace, name)
    except OSError as error:
        raise refused_by_disk(error) from error


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


def _import(job: ImportJob, workspace: Workspace, name: str) -> ImportReport:
    job.images.mkdir(parents=True)
    job.report_progress(0.0, "Opening the upload")
    gathered = read_upload(job)
    outcomes = _checked_images(job, gathered)
    upload_sha256 = _fingerprint(job, gathered, outcomes)
    known = find_same_upload(workspace, upload_sha256, job.options.name)
    if known is not None:
        return ImportReport(known, job.problems.listed(), was_known=True)
    refuse_taken_name(workspace, name)
    kept = list(_kept(job, gathered, outcomes))
    _refuse_bad(job, kept)
    job.report_progress(CHECKED_SHARE, "Writing rows")
    assembled = assemble(job, gathered, outcomes, kept)
    manifest = Manifest(
        name=name,
        created_at=time.time(),
        sha256=assembled.sha256,
        upload_sha256=upload_sha256,
        source=quoted(job.source.resolve().name),
        layout=gathered.layouts.most_common(1)[0][0],
        split=assembled.split,
        statistics=assembled.statistics,
        skipped_rows=job.problems.bad_rows,
        problem_counts=dict(job.problems.counts),
        notices=assembled.notices,
    )
    report = publish(workspace, job.folder, manifest, job.problems.listed())
    job.report_progress(1.0, "Done")
    return report


def _checked_images(job: ImportJob, gathered: UploadedRows) -> dict[str, ImageOutcome]:
    outcomes: dict[str, ImageOutcome] = {}
    total, stored_bytes, packed_bytes = len(gathered.images), 0, sum(gathered.packed_bytes.values())
    for source, outcome in ImagePool(job.images).prepare([Path(path) for path in gathered.images]):
        outcomes[str(source)] = outcome
        stored_bytes += outcome.bytes
        if stored_bytes > most_bytes(packed_bytes):
            message = f"The images of `{quoted(job.source.name)}` take {packed_bytes:,} bytes and more than "
            raise UploadRefused("IMG_TOO_LARGE", f"{message}{most_bytes(packed_bytes):,} once they are converted")
        if len(outcomes) % REPORT_EVERY == 0:
            share = READING_SHARE + (CHECKED_SHARE - READING_SHARE) * len(outcomes) / total
            job.report_progress(share, f"Checking images: {len(outcomes):,} of {total:,}")
    kept = Counter(outcomes[path].stored for path in gathered.images if not outcomes[path].code)
    repeated = kept.total() - len(kept)
    if repeated:
        message = f"{counted(repeated, 'image')} with the same content as another one"
        job.problems.add("IMG_DUPLICATE", Place(job.source.name), message, count=repeated)
    for path, written in gathered.images.items():
        for code, message in outcomes[path].warnings:
            job.problems.add(code, Place(written), f"It {message}")
    return outcomes


def _fingerprint(job: ImportJob, gathered: UploadedRows, outcomes: ImageOutcomes) -> str:
    """Tell the same upload, imported in the same way, again: by content, wherever it lies and however it was zipped."""
    digest, options = gathered.digest.copy(), job.options
    for part in (options.heldout is not None, options.heldout_share, options.seed, options.mapping):
        digest.update(repr(part).encode())
    for path in gathered.images:
        digest.update((outcomes[path].sha256 or outcomes[path].code).encode())
    return str(digest.hexdigest())


def _kept(job: ImportJob, gathered: UploadedRows, outcomes: ImageOutcomes) -> Iterator[bool]:
    """Yield for each row whether all its images are good; report those that are not."""
    for row in gathered.found():
        bad = [(n, p, outcomes[p.path]) for n, p in enumerate(row.images) if outcomes[p.path].code]
        for number, image, outcome in bad:
            message = f"images[{number}] `{image.written}` {outcome.message}"
            job.problems.add(outcome.code, row.place, message, f"images[{number}]")
        yield not bad


def _refuse_bad(job: ImportJob, kept: list[bool]) -> None:
    listed = job.problems.listed()
    if not any(kept):
        message = f"No row of `{quoted(job.source.name)}` can be used; found {counted(job.problems.errors, 'problem')}"
        hint = f"The first: {listed[0].message}. {listed[0].hint}" if listed else ""
        raise UploadRefused("NO_VALID_ROWS", message, hint=hint, problems=listed)
    if job.options.strict and job.problems.errors:
        message = f"Nothing was imported because of {counted(job.problems.errors, 'error')}, first: {listed[0].message}"
        raise UploadRefused("STRICT", message, problems=listed)


def _ignore_progress(share: float, text: str) -> None:
    del share, text


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
            "LAYOUT_UNKNOWN", f"No row has the column `{quoted(mapping.answer)}` that should hold the answer"
        )
    records = known or unknown
    columns = tuple(dict.fromkeys(quoted(name) for record in records for name in record.content))
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


def _first_records(upload: Upload, reader: RowReader) -> tuple[list[RawRow], list[RawRow], int]:
    """Read the first rows in a known layout, the first of the others, and how many rows there are in all."""
    known: list[RawRow] = []
    unknown: list[RawRow] = []
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


def _preview(records: list[RawRow], reader: RowReader) -> Iterator[Row]:
    """Yield the first good rows as they would be imported, with the images' names as they were written."""
    good = 0
    for record in records:
        found = reader.resolve_row(record, side_of(record.place.file))
        if found is not None and good < PREVIEW_ROWS:
            good += 1
            yield Row(
                id=f"row-{good}", split=found.side or "train", images=tuple(p.written for p in found.images),
                messages=found.messages, source=f"{found.file} {found.unit} {found.line}",
            )  # fmt: skip


def _layout(known: list[RawRow], mapping: ColumnMapping | None) -> LayoutName | None:
    if mapping is not None:
        return "table"
    return recognise(known[0].content) if known else None


def _as_texts(record: RawRow) -> dict[str, str]:
    return {quoted(name): _as_text(value) for name, value in record.content.items()}


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
