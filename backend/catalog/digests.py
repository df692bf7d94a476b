"""Whether the files of a checkpoint are byte for byte those that were saved.

Each file has its SHA-256 in `complete.json`, which costs a second for 1 to 2 GB while saving. One kind is left out: the
optimizer's state above 64 MiB, which is four to eight times as large as the weights. Torch writes a CRC-32 of every
tensor into it, so that it is checked by its own sums where a run goes on from it.
"""

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LARGE_BYTES = 64 << 20
SUMMED_BY_TORCH = ".pt"
READERS = 4  # files read at once; a digest keeps no other thread waiting


def has_own_sums(name: str, size: int) -> bool:
    """Whether a file of that name and size carries checksums of its own."""
    return name.endswith(SUMMED_BY_TORCH) and size > LARGE_BYTES


def digests_of(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """SHA-256 of each file that has no sums of its own, by its name. Raises OSError."""
    names = [name for name, size in sizes.items() if not has_own_sums(name, size)]
    with ThreadPoolExecutor(READERS) as readers:
        return dict(zip(names, readers.map(digest_of, [folder / name for name in names]), strict=True))


def damaged_files(folder: Path, sizes: Mapping[str, int], digests: Mapping[str, str]) -> list[str]:
    """Read every file whole; name those that are not what was saved, or cannot be read."""
    with ThreadPoolExecutor(READERS) as readers:
        sound = readers.map(lambda name: _is_sound(folder / name, digests.get(name, "")), sizes)
        return [name for name, is_sound in zip(sizes, sound, strict=True) if not is_sound]


def digest_of(path: Path) -> str:
    """SHA-256 of a file. Raises OSError."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def without_digest(sizes: Mapping[str, int], digests: Iterable[str]) -> list[str]:
    """Files of which only the size is known: all of a checkpoint that was saved before there were digests."""
    return [name for name in sizes.keys() - set(digests) if not has_own_sums(name, sizes[name])]


def _is_sound(path: Path, digest: str) -> bool:
    try:
        if digest:
            return digest_of(path) == digest
        return not has_own_sums(path.name, path.stat().st_size) or _fits_own_sums(path)
    except OSError:
        return False


def _fits_own_sums(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip() is None
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError):
        return False
