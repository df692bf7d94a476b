"""What was uploaded: which files hold rows, and which file a name means.

Nothing outside the upload is ever opened.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from backend.datasets.archive import UnpackedArchive, is_ignored, unpack
from backend.datasets.formats import class_folder_rows, foreign
from backend.datasets.limits import UnpackBudget
from backend.datasets.problems import ProblemList, UploadRefused, counted, quoted
from backend.jsonl import strict_json

ANNOTATIONS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".xlsx", ".xlsm")
OTHER_TABLES = {
    ".xls": "a workbook of old Excel", ".ods": "an OpenDocument table", ".numbers": "a table of Numbers",
    ".gsheet": "a link to Google Sheets", ".xlsb": "a binary Excel workbook",
}  # fmt: skip
IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
BESIDE_ARROW = ("dataset_info.json", "dataset_dict.json", "state.json")
CLASS_FOLDERS = "class-folders.jsonl"  # what rows are called that were made of folders
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
MAX_WALKED = 500_000  # files of a folder that are looked at
MAX_NAME_BYTES = 255
NameFilter = Callable[[str], bool]


class Upload:
    """The files of one zip, folder or single file, by their names in it (NFC, forward slashes)."""

    def __init__(self, title: str, annotations: list[str], unpacked: UnpackedArchive, root: Path | None) -> None:
        """Hold unpacked files under their names; files below `root` are found when asked for."""
        self.title = title  # as the person called it
        self.annotations = annotations
        self.table_budget = UnpackBudget()  # what its tables may expand to
        self._unpacked = unpacked
        self._root = root.resolve() if root is not None else None
        self._walked_files: dict[str, Path] | None = None
        self._links: list[str] = []  # that lead out of the folder

    def path_of(self, name: str) -> Path | None:
        """Find the file of exactly this name, itself and not by a link that leads out; None where there is none."""
        unpacked = self._unpacked.files.get(name) or self._unpacked.aliases.get(name)
        if unpacked is not None:
            return unpacked
        if self._root is None or not _can_be_named(name):
            return None
        path = self._root / name
        if path.is_file() and path.resolve().is_relative_to(self._root):
            return path
        return self._walked_files.get(name) if self._walked_files is not None else None

    def packed_bytes(self, path: Path) -> int:
        """What one of its files took as it was uploaded: within its archive or table, where it lay in one."""
        in_container = self._unpacked.packed_bytes.get(path)
        return path.stat().st_size if in_container is None else in_container

    def files(self) -> dict[str, Path]:
        """Every file by name. The first call walks the folder."""
        if self._walked_files is None:
            self._walked_files = dict(_files_below(self._root, self._links)) if self._root is not None else {}
        return self._walked_files | self._unpacked.files

    def link_above(self, path: str) -> str:
        """The link, leading out of the upload, behind which a path lies; empty where there is none."""
        self.files()
        return next((link for link in self._links if path == link or path.startswith(f"{link}/")), "")

    @property
    def links(self) -> tuple[str, ...]:
        """Links of a folder that lead out of it, and that are not followed."""
        self.files()
        return tuple(self._links)

    def every_name(self) -> dict[str, Path]:
        """The same, with other readings of names whose encoding is not known."""
        return self._unpacked.aliases | self.files()

    def add(self, name: str, path: Path, packed_bytes: int) -> None:
        """Know one more file, such as an image that lay inside a table and took so many bytes of it."""
        self._unpacked.files[name] = path
        self._unpacked.packed_bytes[path] = packed_bytes


def open_upload(source: Path, into: Path, problems: ProblemList, is_needed: NameFilter = lambda _: True) -> Upload:
    """Open a zip, a folder or a single annotation file.

    A single file may name images in its own folder and below. Zips at the top of a folder are unpacked too.

    Args:
        source: a path on this machine, chosen by the person.
        into: an existing folder for what is unpacked.
        problems: receives what is odd about names.
        is_needed: of a zip, unpack only the names that it accepts.

    Raises:
        UploadRefused: nothing there, of no known kind, without annotation file, or breaking an archive rule.
    """
    if source.is_dir():
        return _open_folder(source, into, problems, is_needed)
    if not source.is_file() and _HUB_NAME.fullmatch(str(source)):
        hint = (
            f"Nothing is downloaded: `hf download {source} --repo-type dataset --local-dir FOLDER`, then import FOLDER"
        )
        raise UploadRefused("UPLOAD_UNREADABLE", f"There is no folder `{quoted(str(source))}`", hint=hint)
    if not source.is_file():
        raise UploadRefused("UPLOAD_UNREADABLE", f"There is no file or folder `{quoted(str(source))}`")
    if source.suffix.lower() in ANNOTATIONS:
        return Upload(
            source.name, [nfc(source.name)], UnpackedArchive({nfc(source.name): source}, {}, {}), source.parent
        )
    if source.suffix.lower() in IMAGES:
        raise UploadRefused(
            "UPLOAD_KIND", f"`{quoted(source.name)}` is an image; the questions and answers are missing"
        )
    upload = Upload(source.name, [], unpack(source, into, problems, is_needed), None)
    _find_rows(upload, into)
    return upload


def nfc(name: str) -> str:
    """Compose accents, so that names written on different systems are equal."""
    return unicodedata.normalize("NFC", name)


def is_image(name: str) -> bool:
    """Tell whether a name looks like an image's."""
    return name.lower().endswith(IMAGES)


def _open_folder(source: Path, into: Path, problems: ProblemList, is_needed: NameFilter) -> Upload:
    merged, budget = UnpackedArchive({}, {}, {}), UnpackBudget()
    for archive in sorted(path for path in source.iterdir() if path.suffix.lower() == ".zip" and path.is_file()):
        target = into / f"zip-{len(list(into.iterdir())):03d}"
        target.mkdir()
        unpacked = unpack(archive, target, problems, is_needed, budget)
        for name in unpacked.files:
            if name in merged.files or (source / name).exists():
                raise UploadRefused(
                    "ARCHIVE_DUPLICATE", f"`{quoted(name)}` is in `{quoted(archive.name)}` and once more"
                )
        merged.files.update(unpacked.files)
        merged.aliases.update(unpacked.aliases)
        merged.packed_bytes.update(unpacked.packed_bytes)
    upload = Upload(source.resolve().name, [], merged, source)
    try:
        _find_rows(upload, into)
    except UploadRefused as refusal:
        if not upload.links:
            raise
        links = f"{counted(len(upload.links), 'link')} out of it, e.g. `{quoted(upload.links[0])}`"
        raise UploadRefused("LINK_REFUSED", f"{refusal.message}; {links}") from refusal
    return upload


def _find_rows(upload: Upload, into: Path) -> None:
    """Note which files hold rows; where none does, folders named by classes are rows. Raises UploadRefused."""
    names = list(upload.files())
    has_rows = any(name.lower().endswith(ANNOTATIONS) for name in names)
    rows = [] if has_rows else class_folder_rows([name for name in names if is_image(name)])
    if rows:
        made = into / CLASS_FOLDERS
        made.write_text("".join(f"{strict_json(row)}\n" for row in rows), encoding="utf-8")
        upload.add(CLASS_FOLDERS, made, made.stat().st_size)
        upload.annotations = [CLASS_FOLDERS]
    else:
        upload.annotations = _annotations(names, upload.title)


def _annotations(names: list[str], title: str) -> list[str]:
    annotations = sorted(name for name in names if name.lower().endswith(ANNOTATIONS))
    if any(name.lower().endswith(".arrow") for name in annotations):  # a folder of `datasets.save_to_disk`
        kept = (name for name in annotations if name.rpartition("/")[2] not in BESIDE_ARROW)
        annotations = [name for name in kept if not name.rpartition("/")[2].startswith("cache-")]
    if not annotations:
        for name in names:
            if kind := OTHER_TABLES.get(Path(name).suffix.lower()):
                hint = "Open it and save it as .xlsx, or as CSV in UTF-8"
                raise UploadRefused("NO_ANNOTATION", f"`{quoted(name)}` is {kind}, which is not read", hint=hint)
        if known := foreign(names):
            kind, hint = known
            raise UploadRefused("NO_ANNOTATION", f"`{quoted(title)}` holds {kind}", hint=hint)
        images = sum(is_image(name) for name in names)
        raise UploadRefused(
            "NO_ANNOTATION", f"`{quoted(title)}` holds {counted(images, 'image')} and no file with rows"
        )
    return annotations


def _files_below(root: Path, links: list[str]) -> Iterator[tuple[str, Path]]:
    """Yield the files below `root` by name, sorted, without hidden folders and without links that lead out."""
    remaining = MAX_WALKED
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links += [
            nfc(Path(folder, n).relative_to(root).as_posix()) for n in folders if _leads_out(Path(folder, n), root)
        ]
        for file in sorted(files)[:remaining]:
            path = Path(folder, file)
            name = nfc(path.relative_to(root).as_posix())
            if is_ignored(name) or not _can_be_named(name):
                continue
            if _leads_out(path, root):
                links.append(name)
            else:
                yield name, path
        remaining -= len(files)
        if remaining <= 0:
            return


def _leads_out(path: Path, root: Path) -> bool:
    return path.is_symlink() and not path.resolve().is_relative_to(root)


def _can_be_named(name: str) -> bool:
    """Tell whether a name may be asked of the file system, and be written into a JSON file."""
    try:
        parts = name.encode().split(b"/")
    except UnicodeEncodeError:
        return False
    return b"\0" not in name.encode() and all(0 < len(part) <= MAX_NAME_BYTES for part in parts)
