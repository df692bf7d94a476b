"""Whether a stored dataset is still what was imported or made: its rows, its pictures, its checksums, its versions."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from backend.conversation import Row
from backend.datasets.checks import faults_of
from backend.datasets.pages import parse_line
from backend.datasets.pictures import PicturePool
from backend.datasets.problems import Place, ProblemList
from backend.datasets.records import Manifest, Problem
from backend.datasets.row_files import ROWS, VERSIONS, digest_of, rows_path
from backend.errors import DatasetError


def verify(folder: Path, manifest: Manifest, kept: Sequence[Manifest] = ()) -> tuple[Problem, ...]:
    """Read every row and every picture's header; an empty answer means that all is well. Changes nothing.

    Args:
        folder: the dataset's.
        manifest: the current one.
        kept: those of its earlier versions, whose rows are compared with their checksums.
    """
    problems = ProblemList()
    _check_versions(folder, manifest, kept, problems)
    path = folder / ROWS
    if not path.is_file():
        problems.add("ROW_INVALID", Place(ROWS), "It is missing")
        return problems.listed()
    if digest_of(path) != manifest.sha256:
        problems.add("ROWS_CHANGED", Place(ROWS), "It is not the file that was imported")
    users: dict[str, Place] = {}
    for place, row in _rows(path, problems):
        for fault in faults_of(row.messages, len(row.images)):
            problems.add("ROW_INVALID", place, fault.message, fault.field)
        for image in row.images:
            users.setdefault(image, place)
    _check_pictures(folder, users, problems)
    return problems.listed()


def _check_versions(folder: Path, current: Manifest, kept: Sequence[Manifest], problems: ProblemList) -> None:
    for manifest in kept:
        path = rows_path(folder, manifest.sha256)
        is_whole = path.is_file() and digest_of(path) == manifest.sha256
        if manifest.sha256 != current.sha256 and not is_whole:
            wrong = "It was changed" if path.is_file() else "It is missing"
            problems.add("VERSION_GONE", Place(f"{VERSIONS}/{path.name}"), wrong)


def _rows(path: Path, problems: ProblemList) -> Iterator[tuple[Place, Row]]:
    with path.open("rb") as source:
        for number, line in enumerate(source, start=1):
            try:
                row = parse_line(line, "")
            except DatasetError:
                problems.add("ROW_INVALID", Place(ROWS, number, unit="line"), "It holds no row")
                continue
            if row is not None:
                yield Place(ROWS, number, row.id, "line"), row


def _check_pictures(folder: Path, users: dict[str, Place], problems: ProblemList) -> None:
    present: dict[Path, str] = {}
    for image, place in users.items():
        path = (folder / image).resolve()
        if path.is_relative_to((folder / "images").resolve()) and path.is_file():
            present[path] = image
        else:
            problems.add("PICTURE_GONE", place, f"`{image}` is not in the dataset", "images")
    for path, outcome in PicturePool(folder / "images").prepare(list(present), keep=False):
        if outcome.code:
            image = present[path]
            problems.add("PICTURE_GONE", users[image], f"`{image}` {outcome.message}", "images")
