"""Unpack an uploaded zip, refusing what could harm the disk or escape the folder. Nothing in it is trusted."""

import io
import lzma
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from backend.datasets.encodings import MULTI_BYTE, likeliest_of
from backend.datasets.limits import MAX_UNPACKED_BYTES, UnpackBudget, max_unpacked_bytes
from backend.datasets.problems import Place, ProblemList, UploadRefused, counted, quoted

MAX_MEMBERS = 500_000
MAX_EMPTY_MEMBERS = 1_000  # files of 0 bytes: no dataset needs them
MAX_DIRECTORY_BYTES = 96 * 1024**2  # the list of members, which is read as a whole
SPARE_DISK_BYTES = 256 * 1024**2
COPY_BYTES = 1 << 20
LOCAL_HEADER_BYTES = 30
FIRST_CJK = "\u2e80"
MAX_READINGS = 4  # of names that are not marked as UTF-8
_PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
_ENCRYPTED, _UTF8 = 0x1, 0x800  # bits of a member's flags
_IGNORED_NAMES = {".DS_Store", "Thumbs.db", "desktop.ini"}


class ArchiveMember(NamedTuple):
    """One regular file of an archive, under the name that rows use."""

    name: str  # NFC, forward slashes, inside the folder
    aliases: tuple[str, ...]  # other readings of the name, where the archive did not say that it is UTF-8
    entry: zipfile.ZipInfo


class UnpackedArchive(NamedTuple):
    """What an archive held: name -> file on disk, sorted by name."""

    files: dict[str, Path]
    aliases: dict[str, Path]  # the same files under other readings of names that are not marked as UTF-8
    packed_bytes: dict[Path, int]  # file on disk -> what it takes in the archive


def unpack(
    archive: Path,
    into: Path,
    problems: ProblemList,
    is_needed: Callable[[str], bool] = lambda _: True,
    budget: UnpackBudget | None = None,
) -> UnpackedArchive:
    """Write the files of `archive` whose names are needed into `into`, under generated names.

    The list of members is checked as a whole before a byte is written.

    Args:
        archive: a zip on disk.
        into: an existing folder. Left partly filled if this raises.
        problems: receives what is odd about names.
        is_needed: tells by a member's name; the others keep their place in the result, but no file.
        budget: what this one shares with the other archives of its upload, where there are any.

    Raises:
        UploadRefused: the archive breaks a rule; its code begins with ARCHIVE_, or is DISK_FULL.
    """
    unpacked, budget = UnpackedArchive({}, {}, {}), budget or UnpackBudget()
    limit_bytes = budget.add_archive(archive.stat().st_size)
    try:
        with _ArchiveFile(io.FileIO(archive)) as source, zipfile.ZipFile(source) as zipped:
            members = _checked_members(zipped, archive.name, limit_bytes)
            budget.spend(sum(member.entry.file_size for member in members))
            _report_names(members, archive.name, problems)
            _refuse_without_space(members, into)
            for number, member in enumerate(members):
                target = into / f"{number:06d}{_suffix(member.name)}"
                if is_needed(member.name):
                    _extract(zipped, member.entry, target)
                unpacked.files[member.name] = target
                unpacked.packed_bytes[target] = member.entry.compress_size
                unpacked.aliases.update(dict.fromkeys(member.aliases, target))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        raise _not_a_zip(archive) from error
    except (NotImplementedError, RuntimeError) as error:
        raise UploadRefused(
            "ARCHIVE_METHOD", f"`{quoted(archive.name)}` is packed in an unusual way: {error}"
        ) from error
    return unpacked


def is_ignored(name: str) -> bool:
    """Tell whether a file is a leaving of an operating system, or lies in a hidden folder."""
    *folders, file = name.split("/")
    return (
        "__MACOSX" in folders
        or any(folder.startswith(".") for folder in folders)
        or (file in _IGNORED_NAMES or file.startswith("._"))
    )


class _ArchiveFile(io.BufferedReader):
    """An archive whose list of members is of a size that fits into memory; zipfile reads it at once, however long."""

    def read(self, size: int | None = -1) -> bytes:
        """Read, as zipfile asks. Raises UploadRefused where the list of members is too long."""
        if size is not None and size > MAX_DIRECTORY_BYTES:
            raise UploadRefused(
                "ARCHIVE_TOO_LARGE",
                f"The list of files in `{quoted(Path(self.name).name)}` takes {size / 1024**2:,.0f} MiB; "
                f"the limit is {MAX_DIRECTORY_BYTES // 1024**2} MiB",
            )
        return super().read(size)


def _checked_members(zipped: zipfile.ZipFile, archive: str, limit_bytes: int) -> list[ArchiveMember]:
    """Apply every rule that the list of members can tell, and name them."""
    # not `is_dir`, which looks for the last character of a name that may have none
    entries = [entry for entry in zipped.infolist() if not entry.filename.endswith("/")]
    if any(not _normalised(entry.filename) for entry in entries):
        raise UploadRefused("ARCHIVE_DAMAGED", f"`{quoted(archive)}` holds a file without a name")
    for entry in zipped.infolist():
        _refuse_special(entry)
    encodings = _name_encodings(entries)
    members = sorted((_named_member(entry, encodings) for entry in entries), key=lambda member: member.name)
    _refuse_bombs(entries, archive, limit_bytes)
    _refuse_overlaps(entries, zipped.start_dir, archive)
    members = [member for member in members if not is_ignored(member.name)]
    _refuse_unreadable(members)
    duplicates = [name for name, count in Counter(member.name for member in members).items() if count > 1]
    if duplicates:
        raise UploadRefused("ARCHIVE_DUPLICATE", f"`{quoted(archive)}` holds `{quoted(duplicates[0])}` more than once")
    return members


def _refuse_special(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise UploadRefused("ARCHIVE_SPECIAL", f"The archive holds `{quoted(entry.filename)}`, which is no plain file")


def _named_member(entry: zipfile.ZipInfo, encodings: list[str]) -> ArchiveMember:
    name, *others = [entry.filename] if _is_marked(entry) else _readings(entry.filename, encodings)
    for candidate in (name, *others, entry.orig_filename):
        path = candidate.replace("\\", "/")
        if path.startswith("/") or ".." in path.split("/") or re.match(r"[A-Za-z]:", path) or "\0" in path:
            raise UploadRefused(
                "ARCHIVE_PATH",
                f"The archive holds `{quoted(candidate)}`, which would be written outside the dataset folder",
            )
    return ArchiveMember(_normalised(name), tuple(_normalised(other) for other in others), entry)


def _name_encodings(entries: list[zipfile.ZipInfo]) -> list[str]:
    """How names may be encoded that are not marked as UTF-8, the likeliest first: judged for all of them together.

    Short names may be valid in several, `图片` in GBK for one; which is meant shows when rows name the file.
    """
    raw = [entry.filename.encode("cp437") for entry in entries if not _is_marked(entry)]
    ranked = [name for name, _, _ in likeliest_of(b"\n".join(raw))] if raw else []
    texts = [_decoded(name, "utf-8") for name in raw]
    is_utf8 = all(text is not None for text in texts) and (
        any(max(text or " ") >= FIRST_CJK for text in texts) or not ranked or ranked[0] not in MULTI_BYTE
    )
    return [*(["utf-8"] if is_utf8 else []), *ranked[:MAX_READINGS], *([] if is_utf8 else ["utf-8"]), "cp437"]


def _readings(name: str, encodings: list[str]) -> list[str]:
    """Read again what zipfile took for cp437, in each encoding that fits."""
    readings = [_decoded(name.encode("cp437"), encoding) for encoding in encodings]
    return list(dict.fromkeys(reading for reading in readings if reading is not None))


def _decoded(raw: bytes, encoding: str) -> str | None:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _is_marked(entry: zipfile.ZipInfo) -> bool:
    return bool(entry.flag_bits & _UTF8) or entry.filename.isascii()


def _normalised(name: str) -> str:
    parts = (part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    return unicodedata.normalize("NFC", "/".join(parts))


def _refuse_bombs(entries: list[zipfile.ZipInfo], archive: str, limit_bytes: int) -> None:
    """Hold what the list of members says against the limits; that it says the truth is checked while unpacking."""
    unpacked_bytes = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_MEMBERS or unpacked_bytes > MAX_UNPACKED_BYTES:
        raise UploadRefused(
            "ARCHIVE_TOO_LARGE",
            f"`{quoted(archive)}` unpacks to {len(entries):,} files and {unpacked_bytes / 1024**3:.1f} GiB; "
            f"the limits are {MAX_MEMBERS:,} files and {MAX_UNPACKED_BYTES // 1024**3} GiB",
        )
    empty_count = sum(entry.file_size == 0 for entry in entries)
    if empty_count > MAX_EMPTY_MEMBERS:
        raise UploadRefused("ARCHIVE_BOMB", f"`{quoted(archive)}` holds {empty_count:,} empty files")
    for entry in entries:
        if entry.file_size > max_unpacked_bytes(entry.compress_size):
            raise UploadRefused(
                "ARCHIVE_BOMB",
                f"`{quoted(entry.filename)}` takes {entry.compress_size:,} bytes and unpacks to {entry.file_size:,}",
            )
    if unpacked_bytes > limit_bytes:
        raise UploadRefused(
            "ARCHIVE_BOMB",
            f"`{quoted(archive)}` unpacks to {unpacked_bytes:,} bytes, and {limit_bytes:,} are the most for its size",
        )


def _refuse_overlaps(entries: list[zipfile.ZipInfo], directory_start: int, archive: str) -> None:
    """Refuse bytes that would be unpacked more than once."""
    if any(not 0 <= entry.header_offset < directory_start for entry in entries):
        raise UploadRefused("ARCHIVE_DAMAGED", f"`{quoted(archive)}` is a damaged zip archive")
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    ends = [entry.header_offset + LOCAL_HEADER_BYTES + entry.compress_size for entry in ordered]
    starts = [entry.header_offset for entry in ordered[1:]] + [directory_start]
    for entry, end, start in zip(ordered, ends, starts, strict=True):
        if end > start:
            raise UploadRefused("ARCHIVE_BOMB", f"`{quoted(entry.filename)}` overlaps another file of the archive")


def _refuse_unreadable(members: list[ArchiveMember]) -> None:
    for member in members:
        if member.entry.flag_bits & _ENCRYPTED:
            raise UploadRefused("ARCHIVE_ENCRYPTED", f"`{quoted(member.name)}` in the archive is encrypted")
        if member.entry.compress_type not in _METHODS:
            raise UploadRefused("ARCHIVE_METHOD", f"`{quoted(member.name)}` is packed in an unusual way")
        if member.name.lower().endswith(_PACKED):
            raise UploadRefused("ARCHIVE_NESTED", f"The archive holds another archive, `{quoted(member.name)}`")


def _report_names(members: list[ArchiveMember], archive: str, problems: ProblemList) -> None:
    reread_names = [member.name for member in members if member.aliases]
    if reread_names:
        names = counted(len(reread_names), "name")
        message = f"{names} without a mark of UTF-8, read as `{quoted(reread_names[0])}` and the like"
        problems.add("ARCHIVE_NAMES", Place(archive), message, count=len(reread_names))
    by_folded_name: dict[str, str] = {}
    for member in members:
        other = by_folded_name.setdefault(member.name.casefold(), member.name)
        if other != member.name:
            message = f"`{quoted(other)}` and `{quoted(member.name)}` differ only in upper and lower case"
            problems.add("ARCHIVE_NAME_CASE", Place(archive), message)


def _refuse_without_space(members: list[ArchiveMember], into: Path) -> None:
    needed = sum(member.entry.file_size for member in members)
    free = shutil.disk_usage(into).free
    if needed + SPARE_DISK_BYTES > free:
        raise UploadRefused(
            "DISK_FULL", f"The archive unpacks to {needed / 1024**3:.1f} GiB, and {free / 1024**3:.1f} GiB are free"
        )


def _extract(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """Write one member. The reader stops at the declared size and checks the sum, so a forged size is damage."""
    with zipped.open(entry) as source, target.open("xb") as sink:
        shutil.copyfileobj(source, sink, COPY_BYTES)


def _suffix(name: str) -> str:
    """Keep a plain extension for people who look into the folder; nothing reads it."""
    extension = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
    return extension[0].lower() if extension else ""


def _not_a_zip(archive: Path) -> UploadRefused:
    with archive.open("rb") as source:
        head = source.read(512)
    if head.startswith(b"PK"):
        return UploadRefused("ARCHIVE_DAMAGED", f"`{quoted(archive.name)}` is a damaged zip archive")
    kinds = {b"\x1f\x8b": "gzip", b"7z\xbc\xaf": "7z", b"Rar!": "rar", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
    kind = next((name for magic, name in kinds.items() if head.startswith(magic)), "")
    kind = "tar" if head[257:262] == b"ustar" else kind
    return UploadRefused(
        "ARCHIVE_KIND", f"`{quoted(archive.name)}` is " + (f"a {kind} archive" if kind else "not a zip archive")
    )
