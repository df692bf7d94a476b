"""Read every row of an upload once: good rows go to a file, with the pictures they name."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.datasets.job import Job
from backend.datasets.layouts import Split
from backend.datasets.problems import Place, counted, shown
from backend.datasets.reading import FoundRow, RowReader
from backend.datasets.records import LayoutName
from backend.datasets.upload import ANNOTATIONS, Upload, is_picture, open_upload

REPORT_EVERY = 200
READING_SHARE = 0.15  # of the whole import, for the progress bar, which cannot know how many rows will come


@dataclass(slots=True)
class Gathered:
    """What was read; the rows themselves rest in a file."""

    rows: Path
    pictures: dict[str, str] = field(default_factory=dict)  # path -> as the first row that names it wrote it
    packed_bytes: dict[str, int] = field(default_factory=dict)  # path of a picture -> what it took as it was uploaded
    layouts: Counter[LayoutName] = field(default_factory=Counter)
    sides: Counter[Split | None] = field(default_factory=Counter)
    notices: list[str] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)  # of the files with rows

    def found(self) -> Iterator[FoundRow]:
        """Read the rows again, in order."""
        with self.rows.open(encoding="utf-8", newline="\n") as source:
            for line in source:
                yield FoundRow.model_validate_json(line)

    @property
    def is_split(self) -> bool:
        """Whether the upload itself says which rows are held out."""
        return 0 < self.sides["heldout"] < self.sides.total()


def gather(job: Job) -> Gathered:
    """Read the upload, and the second one with held-out rows where there is one.

    Raises:
        UploadRefused: an archive breaks a rule, nothing holds rows, or no row is in a known layout.
    """
    gathered = Gathered(job.room / "found.jsonl")
    with gathered.rows.open("w", encoding="utf-8") as sink:
        for source, side in ((job.source, None), (job.options.heldout, "heldout")):
            if source is None:
                continue
            upload, reader = _opened(job, source)
            if side is None:
                _leave_out(upload, job.options.heldout)
            for row in reader.rows(side):  # type: ignore[arg-type]  # a Literal in a tuple
                sink.write(row.model_dump_json() + "\n")
                _note(row, upload, gathered, job)
            reader.refuse_unknown()
            gathered.layouts += reader.layouts
            gathered.notices += reader.notices
            _hash_annotations(upload, gathered)
            _report_unused(upload, gathered, job)
    return gathered


def _opened(job: Job, source: Path) -> tuple[Upload, RowReader]:
    room = job.room / f"upload-{len(list(job.room.iterdir()))}"
    unpacked, tables = room / "unpacked", room / "tables"
    unpacked.mkdir(parents=True)
    tables.mkdir()
    upload = open_upload(source, unpacked, job.problems)
    return upload, RowReader(upload, tables, job.options.mapping, job.problems)


def _leave_out(upload: Upload, heldout: Path | None) -> None:
    """Do not read a file of held-out rows a second time where it lies in the folder that is imported."""
    if heldout is not None:
        paths = {name: upload.path_of(name) for name in upload.annotations}
        upload.annotations = [n for n, path in paths.items() if path is None or path.resolve() != heldout.resolve()]


def _note(row: FoundRow, upload: Upload, gathered: Gathered, job: Job) -> None:
    gathered.sides[row.side] += 1
    for picture in row.pictures:
        if picture.path not in gathered.pictures:
            gathered.pictures[picture.path] = picture.written
            gathered.packed_bytes[picture.path] = upload.packed_bytes(Path(picture.path))
    if gathered.sides.total() % REPORT_EVERY == 0:
        job.tell(READING_SHARE, f"Reading rows: {gathered.sides.total():,}")


def _hash_annotations(upload: Upload, gathered: Gathered) -> None:
    for name in upload.annotations:
        path = upload.path_of(name)
        if path is not None:
            with path.open("rb") as source:
                gathered.digest.update(name.encode() + hashlib.file_digest(source, "sha256").digest())


def _report_unused(upload: Upload, gathered: Gathered, job: Job) -> None:
    if upload.title.lower().endswith(ANNOTATIONS):
        return  # the folder around a single file is not what was uploaded
    unused = [name for name, path in upload.files().items() if is_picture(name) and str(path) not in gathered.pictures]
    if unused:
        message = f"{counted(len(unused), 'picture')} that no good row names, e.g. `{shown(unused[0])}`"
        job.problems.add("IMG_UNREFERENCED", Place(upload.title), message, count=len(unused))
