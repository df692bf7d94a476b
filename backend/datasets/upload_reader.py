"""The whole of an upload read: all rows of all its files, and of what was given for validation and test beside it."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.conversation import Split
from backend.datasets.problems import Place, UploadRefused, counted, quoted
from backend.datasets.records import LayoutName
from backend.datasets.row_reader import MAX_FILES_SHOWN, ResolvedRow, RowReader
from backend.datasets.split_column import SplitColumns, SplitReading
from backend.datasets.staging import ImportJob
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, open_upload

REPORT_EVERY = 200
READING_SHARE = 0.15  # of the whole import, for the progress bar, which cannot know how many rows will come


@dataclass(slots=True)
class UploadedRows:
    """What was read; the rows themselves rest in a file."""

    path: Path
    images: dict[str, str] = field(default_factory=dict)  # path -> as the first row that names it wrote it
    packed_bytes: dict[str, int] = field(default_factory=dict)  # path of an image -> what it took as it was uploaded
    layouts: Counter[LayoutName] = field(default_factory=Counter)
    row_count: int = 0
    split_reading: SplitReading = field(default_factory=SplitColumns().reading)
    vetoes: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # file and path of images that are not the ones meant
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
                _choose_files(upload, job.options.files)
            for row in reader.rows(split):
                sink.write(row.model_dump_json() + "\n")
                _count_row(row, upload, uploaded, job)
            reader.refuse_unrecognised()
            uploaded.layouts += reader.layouts
            uploaded.notices += reader.notices
            uploaded.vetoes |= reader.image_resolver.vetoes()
            uploaded.split_reading = reader.split_columns.reading() if split is None else uploaded.split_reading
            _hash_annotations(upload, uploaded)
            _report_unused(upload, reader, uploaded, job)
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
    return upload, RowReader(upload, tables, job.options, job.problems)


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


def _choose_files(upload: Upload, files: Sequence[str]) -> None:
    """Read only the files that the person chose, where some were chosen. Raises UploadRefused for unknown ones."""
    unknown = [name for name in files if name not in upload.annotations]
    if unknown:
        there = ", ".join(f"`{quoted(name, 60)}`" for name in upload.annotations[:MAX_FILES_SHOWN])
        raise UploadRefused("FILE_UNKNOWN", f"`{quoted(unknown[0])}` holds no rows of this upload; there are {there}")
    if files:
        upload.annotations = [name for name in upload.annotations if name in files]


def _report_unused(upload: Upload, reader: RowReader, uploaded: UploadedRows, job: ImportJob) -> None:
    """Report the images that no row names. Raises UploadRefused where rows without an image may have meant them."""
    if upload.title.lower().endswith(ANNOTATIONS):
        return  # the folder around a single file is not what was uploaded
    unused_images = [n for n, path in upload.files().items() if is_image(n) and str(path) not in uploaded.images]
    if doubt := reader.doubt(bool(unused_images)):
        code, message = doubt
        raise UploadRefused(code, message, problems=job.problems.listed())
    if unused_images:
        message = f"{counted(len(unused_images), 'image')} that no good row names, e.g. `{quoted(unused_images[0])}`"
        job.problems.add("IMG_UNREFERENCED", Place(upload.title), message, count=len(unused_images))
