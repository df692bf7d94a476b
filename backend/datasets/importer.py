"""Import one upload: read, check images, split, count, and let the whole dataset appear at once or not at all."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from backend.datasets.assembly import Outcomes, assemble
from backend.datasets.decoding_limits import most_bytes
from backend.datasets.images import ImageOutcome, ImagePool
from backend.datasets.problems import Place, ProblemList, UploadRefused, counted, refused_by_disk, shown
from backend.datasets.publishing import known_upload, name_for, publish, refuse_taken
from backend.datasets.records import Manifest, Report
from backend.datasets.row_reader import READING_SHARE, Gathered, gather
from backend.datasets.staging import ImportOptions, Job, Progress, staging_folder, sweep_staging
from backend.settings import Workspace

CHECKED_SHARE = 0.9  # of the whole import, for the progress bar
REPORT_EVERY = 20


def import_upload(workspace: Workspace, source: Path, options: ImportOptions, progress: Progress | None) -> Report:
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
            job = Job(source, options, room, ProblemList(), progress or _tell_nobody)
            return _import(job, workspace, name)
    except OSError as error:
        raise refused_by_disk(error) from error


def _import(job: Job, workspace: Workspace, name: str) -> Report:
    job.images.mkdir(parents=True)
    job.tell(0.0, "Opening the upload")
    gathered = gather(job)
    outcomes = _checked_images(job, gathered)
    upload_sha256 = _fingerprint(job, gathered, outcomes)
    known = known_upload(workspace, upload_sha256, job.options.name)
    if known is not None:
        return Report(known, job.problems.listed(), was_known=True)
    refuse_taken(workspace, name)
    kept = list(_kept(job, gathered, outcomes))
    _refuse_bad(job, kept)
    job.tell(CHECKED_SHARE, "Writing rows")
    assembled = assemble(job, gathered, outcomes, kept)
    manifest = Manifest(
        name=name,
        created_at=time.time(),
        sha256=assembled.sha256,
        upload_sha256=upload_sha256,
        source=shown(job.source.resolve().name),
        layout=gathered.layouts.most_common(1)[0][0],
        split=assembled.split,
        statistics=assembled.statistics,
        skipped_rows=job.problems.bad_rows,
        problem_counts=dict(job.problems.counts),
        notices=assembled.notices,
    )
    report = publish(workspace, job.folder, manifest, job.problems.listed())
    job.tell(1.0, "Done")
    return report


def _checked_images(job: Job, gathered: Gathered) -> dict[str, ImageOutcome]:
    outcomes: dict[str, ImageOutcome] = {}
    total, stored_bytes, packed_bytes = len(gathered.images), 0, sum(gathered.packed_bytes.values())
    for source, outcome in ImagePool(job.images).prepare([Path(path) for path in gathered.images]):
        outcomes[str(source)] = outcome
        stored_bytes += outcome.bytes
        if stored_bytes > most_bytes(packed_bytes):
            message = f"The images of `{shown(job.source.name)}` take {packed_bytes:,} bytes and more than "
            raise UploadRefused("IMG_TOO_LARGE", f"{message}{most_bytes(packed_bytes):,} once they are converted")
        if len(outcomes) % REPORT_EVERY == 0:
            share = READING_SHARE + (CHECKED_SHARE - READING_SHARE) * len(outcomes) / total
            job.tell(share, f"Checking images: {len(outcomes):,} of {total:,}")
    kept = Counter(outcomes[path].stored for path in gathered.images if not outcomes[path].code)
    repeated = kept.total() - len(kept)
    if repeated:
        message = f"{counted(repeated, 'image')} with the same content as another one"
        job.problems.add("IMG_DUPLICATE", Place(job.source.name), message, count=repeated)
    for path, written in gathered.images.items():
        for code, message in outcomes[path].warnings:
            job.problems.add(code, Place(written), f"It {message}")
    return outcomes


def _fingerprint(job: Job, gathered: Gathered, outcomes: Outcomes) -> str:
    """Tell the same upload, imported in the same way, again: by content, wherever it lies and however it was zipped."""
    digest, options = gathered.digest.copy(), job.options
    for part in (options.heldout is not None, options.heldout_share, options.seed, options.mapping):
        digest.update(repr(part).encode())
    for path in gathered.images:
        digest.update((outcomes[path].sha256 or outcomes[path].code).encode())
    return str(digest.hexdigest())


def _kept(job: Job, gathered: Gathered, outcomes: Outcomes) -> Iterator[bool]:
    """Yield for each row whether all its images are good; report those that are not."""
    for row in gathered.found():
        bad = [(n, p, outcomes[p.path]) for n, p in enumerate(row.images) if outcomes[p.path].code]
        for number, image, outcome in bad:
            message = f"images[{number}] `{image.written}` {outcome.message}"
            job.problems.add(outcome.code, row.place, message, f"images[{number}]")
        yield not bad


def _refuse_bad(job: Job, kept: list[bool]) -> None:
    listed = job.problems.listed()
    if not any(kept):
        message = f"No row of `{shown(job.source.name)}` can be used; found {counted(job.problems.errors, 'problem')}"
        hint = f"The first: {listed[0].message}. {listed[0].hint}" if listed else ""
        raise UploadRefused("NO_VALID_ROWS", message, hint=hint, problems=listed)
    if job.options.strict and job.problems.errors:
        message = f"Nothing was imported because of {counted(job.problems.errors, 'error')}, first: {listed[0].message}"
        raise UploadRefused("STRICT", message, problems=listed)


def _tell_nobody(share: float, text: str) -> None:
    del share, text
