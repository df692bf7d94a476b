"""Look at an upload, or import it: the whole dataset appears at once or not at all."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from backend.conversation import Row
from backend.datasets.assembly import ImageOutcomes, assemble, screen
from backend.datasets.columns import FileColumns, names_of
from backend.datasets.image_pool import ImageOutcome, ImagePool
from backend.datasets.json_rows import RawRow
from backend.datasets.layouts import recognise
from backend.datasets.limits import max_unpacked_bytes
from backend.datasets.problems import Place, ProblemList, UploadRefused, counted, quoted, refused_by_disk
from backend.datasets.records import ImportReport, Inspection, Manifest
from backend.datasets.row_reader import ResolvedRow, RowReader
from backend.datasets.split_column import SplitReading
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
from backend.datasets.turns import RowFault
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, open_upload
from backend.datasets.upload_reader import READING_SHARE, UploadedRows, read_upload
from backend.jsonl import strict_json
from backend.settings import Workspace

CHECKED_SHARE = 0.9  # of the whole import, for the progress bar
REPORT_EVERY = 20
MAX_PREVIEW_ROWS = 5
MAX_IMAGES_SHOWN = 12  # of the preview
MAX_TRIED_ROWS = 50  # rows that are looked at for the preview
MAX_ROWS_SHOWN = 5
MAX_CHARACTERS_SHOWN = 200


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
        with staging_folder(workspace) as staging:
            job = ImportJob(source, options, staging, ProblemList(), progress or _ignore_progress)
            return _import_staged(job, workspace, name)
    except OSError as error:
        raise refused_by_disk(error) from error


def inspect_upload(workspace: Workspace, source: Path, options: ImportOptions) -> Inspection:
    """Look at an upload; images are looked for, but not decoded.

    Args:
        workspace: what must be unpacked to be read goes into its staging folder, and away again.
        source: a zip, a folder, or one annotation file.
        options: which files to read, and which columns play which part.

    Raises:
        UploadRefused: it cannot be opened, holds no rows, or lacks the column mapped as the answer.
    """
    try:
        with staging_folder(workspace) as staging:
            return _inspect(staging, source, options)
    except OSError as error:
        raise refused_by_disk(error) from error


def _import_staged(job: ImportJob, workspace: Workspace, name: str) -> ImportReport:
    job.images.mkdir(parents=True)
    job.report_progress(0.0, "Opening the upload")
    uploaded = read_upload(job)
    outcomes = _checked_images(job, uploaded)
    upload_sha256 = _fingerprint(job, uploaded, outcomes)
    same_upload = find_same_upload(workspace, upload_sha256, job.options.name)
    if same_upload is not None:
        return ImportReport(same_upload, job.problems.listed(), was_known=True)
    refuse_taken_name(workspace, name)
    screened = screen(job, uploaded, outcomes)
    _refuse_bad(job, has_rows=bool(screened.keys))
    job.report_progress(CHECKED_SHARE, "Writing rows")
    assembled = assemble(job, uploaded, screened)
    manifest = Manifest(
        name=name,
        created_at=time.time(),
        sha256=assembled.sha256,
        upload_sha256=upload_sha256,
        source=quoted(job.source.resolve().name),
        layout=uploaded.layouts.most_common(1)[0][0],
        split=assembled.split,
        statistics=assembled.statistics,
        skipped_rows=job.problems.bad_rows,
        problem_counts=dict(job.problems.counts),
        notices=assembled.notices,
    )
    report = publish(workspace, job.folder, manifest, job.problems.listed())
    job.report_progress(1.0, "Done")
    return report


def _checked_images(job: ImportJob, uploaded: UploadedRows) -> dict[str, ImageOutcome]:
    outcomes: dict[str, ImageOutcome] = {}
    total, stored_bytes, packed_bytes = len(uploaded.images), 0, sum(uploaded.packed_bytes.values())
    for source, outcome in ImagePool(job.images).prepare([Path(path) for path in uploaded.images]):
        outcomes[str(source)] = outcome
        stored_bytes += outcome.bytes
        if stored_bytes > max_unpacked_bytes(packed_bytes):
            message = f"The images of `{quoted(job.source.name)}` take {packed_bytes:,} bytes and more than "
            raise UploadRefused(
                "IMG_TOO_LARGE", f"{message}{max_unpacked_bytes(packed_bytes):,} once they are converted"
            )
        if len(outcomes) % REPORT_EVERY == 0:
            share = READING_SHARE + (CHECKED_SHARE - READING_SHARE) * len(outcomes) / total
            job.report_progress(share, f"Checking images: {len(outcomes):,} of {total:,}")
    stored = Counter(outcomes[path].stored for path in uploaded.images if not outcomes[path].code)
    repeated = stored.total() - len(stored)
    if repeated:
        message = f"{counted(repeated, 'image')} with the same content as another one"
        job.problems.add("IMG_DUPLICATE", Place(job.source.name), message, count=repeated)
    for path, written in uploaded.images.items():
        for code, message in outcomes[path].warnings:
            job.problems.add(code, Place(written), f"It {message}")
    return outcomes


def _fingerprint(job: ImportJob, uploaded: UploadedRows, outcomes: ImageOutcomes) -> str:
    """Tell the same upload, imported in the same way, again: by content, wherever it lies and however it was zipped."""
    digest, options = uploaded.digest.copy(), job.options
    parts: list[Any] = [options.validation is not None, options.validation_share, options.seed, options.mapping]
    parts += [part for part in (options.files, options.encoding, options.template) if part]  # as earlier versions did
    for part in [*parts, "test"] if options.test is not None else parts:
        digest.update(repr(part).encode())
    for path in uploaded.images:
        digest.update((outcomes[path].sha256 or outcomes[path].code).encode())
    return str(digest.hexdigest())


def _refuse_bad(job: ImportJob, *, has_rows: bool) -> None:
    listed = job.problems.listed()
    if not has_rows:
        message = f"No row of `{quoted(job.source.name)}` can be used; found {counted(job.problems.errors, 'problem')}"
        hint = f"The first: {listed[0].message}. {listed[0].hint}" if listed else ""
        raise UploadRefused("NO_VALID_ROWS", message, hint=hint, problems=listed)
    if job.options.strict and job.problems.errors:
        message = f"Nothing was imported because of {counted(job.problems.errors, 'error')}, first: {listed[0].message}"
        raise UploadRefused("STRICT", message, problems=listed)


def _ignore_progress(share: float, text: str) -> None:
    del share, text


def _inspect(staging: Path, source: Path, options: ImportOptions) -> Inspection:
    problems = ProblemList()
    unpacked, tables = staging / "unpacked", staging / "tables"
    unpacked.mkdir()
    tables.mkdir()
    upload = open_upload(source, unpacked, problems, is_needed=_is_annotation)
    reader = RowReader(upload, tables, options, problems)
    files = [_first_rows(name, reader) for name in upload.annotations if not options.files or name in options.files]
    recognised = [raw for each in files for raw in each.recognised]
    example_rows = recognised or [raw for each in files for raw in each.others]
    in_doubt = [(name, each) for name, each in reader.encodings.items() if each.examples]
    if not example_rows and not in_doubt:
        reader.refuse_unrecognised()
    mapping = options.mapping
    if mapping is not None and mapping.answer and not recognised:
        raise UploadRefused(
            "LAYOUT_UNKNOWN", f"No row has the column `{quoted(mapping.answer)}` that should hold the answer"
        )
    resolved = list(_good_rows(files, reader))
    preview = list(_as_rows(resolved, reader.split_columns.reading()))
    images = {path for name, path in upload.files().items() if not _is_annotation(name) and _may_be_image(name)}
    if images and not any(row.images for row in preview) and preview and not options.text_rows:
        message = f"The first rows name no image, and {counted(len(images), 'image')} lie beside them"
        problems.add("IMAGES_UNNAMED", Place(upload.title), message)
    first = next((each for each in files if each.recognised or each.others), files[0])
    return Inspection(
        layout=recognise(recognised[0].content, first.columns.mapping_of(recognised[0].content))
        if recognised
        else None,
        columns=tuple(dict.fromkeys(quoted(name) for raw in example_rows for name in names_of(raw.content))),
        suggestion=mapping or first.columns.mapping,
        first_rows=tuple(_as_texts(raw) for raw in example_rows[:MAX_ROWS_SHOWN]),
        preview=tuple(preview),
        rows=sum(each.rows for each in files),
        images=len(images),
        problems=problems.listed(),
        shown=_shown_images(staging, source, upload, resolved),
        files=tuple((each.name, each.rows) for each in files),
        doubt=next((why for each in files if (why := each.columns.doubt)), "") if not recognised else "",
        notices=tuple(reader.notices),
        encodings=tuple(each for each in reader.encodings.items() if each[1].examples or not each[1].is_unicode),
    )


class FirstRows(NamedTuple):
    """The rows that a file begins with."""

    name: str
    columns: FileColumns
    recognised: list[RawRow]
    others: list[RawRow]
    rows: int  # of the whole file


def _first_rows(name: str, reader: RowReader) -> FirstRows:
    raw_rows, row_count = reader.rows_of_file(name, limit=MAX_TRIED_ROWS)
    first = list(itertools.islice(raw_rows, MAX_TRIED_ROWS))
    columns = reader.columns_of(first)
    recognised = [raw for raw in first if reader.layout_of(raw, columns)]
    others = [raw for raw in first if not reader.layout_of(raw, columns)]
    rest = sum(1 for _ in raw_rows) if row_count is None else 0
    return FirstRows(name, columns, recognised, others, row_count or len(first) + rest)


def _good_rows(files: list[FirstRows], reader: RowReader) -> Iterator[ResolvedRow]:
    """Yield the first good rows, reporting the problems of all that were looked at."""
    good_count = 0
    for each in files:
        for raw in each.recognised:
            row = reader.resolve_row(raw, each.columns.mapping_of(raw.content))
            good_count += row is not None
            if row is not None and good_count <= MAX_PREVIEW_ROWS:
                yield row


def _as_rows(resolved_rows: Sequence[ResolvedRow], reading: SplitReading) -> Iterator[Row]:
    """Rows as they would be imported, with their images' names as they were written."""
    for number, resolved in enumerate(resolved_rows, start=1):
        with suppress(RowFault):  # which the import reports
            yield Row(
                id=f"row-{number}",
                split=reading.split_of(resolved.file, resolved.marks, resolved.split) or "train",
                images=tuple(image.written for image in resolved.images),
                messages=resolved.messages,
                source=f"{resolved.file} {resolved.unit} {resolved.line}",
            )


def _shown_images(staging: Path, source: Path, upload: Upload, rows: Sequence[ResolvedRow]) -> dict[str, bytes]:
    """Check the images of a few rows, unpacking those that lie in archives; by how they are written."""
    written = {Path(image.path): image.written for row in rows for image in row.images}
    paths = dict(list(written.items())[:MAX_IMAGES_SHOWN])
    names = {name: path for name, path in upload.files().items() if path in paths}
    packed = {name: path for name, path in names.items() if not path.is_file()}
    if packed:
        into = staging / "shown"
        into.mkdir()
        unpacked = open_upload(source, into, ProblemList(), is_needed=packed.__contains__)
        moved = {name: path for name in packed if (path := unpacked.path_of(name)) is not None}
        paths = {moved.get(name, path): paths[path] for name, path in names.items()}
    checked = staging / "checked"
    checked.mkdir()
    outcomes = ImagePool(checked).prepare([path for path in paths if path.is_file()])
    return {paths[path]: (checked / each.stored).read_bytes() for path, each in outcomes if each.stored}


def _as_texts(raw: RawRow) -> dict[str, str]:
    return {quoted(name): _as_text(value) for name, value in raw.content.items()}


def _as_text(value: Any) -> str:
    try:
        text = value if isinstance(value, str) else strict_json(value)
    except RecursionError:
        return "…"
    return text if len(text) <= MAX_CHARACTERS_SHOWN else f"{text[: MAX_CHARACTERS_SHOWN - 1]}…"


def _is_annotation(name: str) -> bool:
    return name.lower().endswith(ANNOTATIONS)


def _may_be_image(name: str) -> bool:
    return is_image(name) or ".parquet/" in name
