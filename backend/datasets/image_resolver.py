"""Which uploaded image a row means. The row's text is only ever compared with names, never opened."""

import difflib
import hashlib
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from backend.datasets.image_cells import MAX_PATH_CHARACTERS, embedded_image, is_embedded
from backend.datasets.problems import counted, quoted
from backend.datasets.turns import RowFault
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, nfc

MAX_CANDIDATES_SHOWN = 4
MAX_PARTS = 64  # of a path that are compared: each number of parts is an index of all names
MAX_STEM = 255  # characters of a name without its ending
MAX_REMEMBERED = 200_000  # paths; many rows may share an image
MAX_FUZZY = 20  # missing images for which near names are searched, which is slow
MAX_FUZZY_NAMES = 5_000
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_LABEL_STUDIO = re.compile(r"(?P<folder>.*/data/upload/(?:\d+/)?)[0-9a-f]{8}-(?P<name>[^/]+)$")  # its own prefix
_NUMBER = re.compile(r"(?:COCO_\w+?_)?0*(\d+)")  # `COCO_val2014_000000000139` and `000000000139` are 139


class UnresolvedImageError(Exception):
    """No uploaded image, or more than one, fits. Carries a code of the problem list and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ImageMatch(NamedTuple):
    """An uploaded image that a row means."""

    path: Path
    by_ending: str = ""  # the cleaned path as it was written, where only its ending fits; empty for an exact name


class _Ending(NamedTuple):
    """How a path was matched by its ending."""

    name: str  # in the upload
    parts: int  # of the path as it was written
    matched: int  # of these, from the end


class ImageResolver:
    """Finds images by the paths that rows give, and remembers how."""

    def __init__(self, upload: Upload, embedded: Path) -> None:
        """Prepare to find; `embedded` is an existing folder for images that stand in rows themselves."""
        self._upload, self._embedded = upload, embedded
        self._files: dict[str, Path] = {}  # filled when the first path must be searched for
        self._by_ending_of: dict[tuple[int, bool], dict[str, list[str]]] = {}  # parts, in any case -> ending -> names
        self._by_stem: dict[str, list[str]] | None = None
        self._by_likeness: dict[str, str] | None = None
        self._images: list[str] = []  # their names, likewise
        self._remaining_searches = MAX_FUZZY
        self._exact: dict[str, set[int]] = defaultdict(set)  # by annotation, how many parts exactly named files have
        self._exact_files: dict[Path, set[str]] = defaultdict(set)  # -> annotations that name them exactly
        self._endings: dict[tuple[str, str], _Ending] = {}  # annotation and cleaned path -> how it was matched
        self._matches: dict[tuple[str, str], ImageMatch] = {}  # by annotation and text
        self._other_case: dict[str, str] = {}  # paths that fit only without regard to case -> name

    def resolve(self, written: str, annotation: str) -> ImageMatch:
        """Find the image that `written`, in the file `annotation`, means.

        In this order: an image in the text itself; the path from the annotation's folder; from the top of the upload;
        the longest ending of the path that fits exactly one uploaded file (one in the annotation's folder going before
        the others); the same without regard to case; for a name without an extension the one image of that stem or
        number. `vetoes` tells at the end which matches by ending cannot stand.

        Raises:
            UnresolvedError: PATH_REFUSED, IMG_NOT_FOUND, IMG_AMBIGUOUS or IMG_EMBEDDED.
        """
        if is_embedded(written):
            return ImageMatch(self._stored(written))
        match = self._matches.get((annotation, written))
        if match is None:
            match = self._found(written, annotation)
            if len(self._matches) < MAX_REMEMBERED:
                self._matches[annotation, written] = match
        return match

    def _found(self, written: str, annotation: str) -> ImageMatch:
        path = _cleaned(written)
        for candidate in dict.fromkeys((path, unquote(path), re.split(r"[?#]", path)[0])):
            for name in _direct_names(candidate, posixpath.dirname(annotation)):
                image = self._upload.path_of(name)
                if image is not None:
                    self._exact[annotation].add(len(_parts(candidate)))
                    self._exact_files[image].add(annotation)
                    return ImageMatch(image)
        known = self._endings.get((annotation, path))
        ending = known or self._ending(path, annotation)
        if ending is not None and (
            ending.matched > 1 or not _ADDRESS.match(written)
        ):  # of the web a name is too little
            self._endings[annotation, path] = ending
            return ImageMatch(self._files[ending.name], path)
        raise self._not_found(written, path)

    def may_be_named_by(self, value: Any, annotation: str) -> bool:
        """Tell whether a cell of the file `annotation` looks like it names an image, or is one that is uploaded."""
        if isinstance(value, dict):
            value = next((value[key] for key in ("path", "url", "bytes") if isinstance(value.get(key), str)), None)
        if not isinstance(value, str) or not value:
            return False
        if is_embedded(value):
            return True
        if len(value) > MAX_PATH_CHARACTERS or "\n" in value:
            return False
        path = _cleaned(value)
        if is_image(re.split(r"[?#]", path)[0]):
            return not _ADDRESS.match(value) or self._ending(path, annotation) is not None
        return any(self._upload.path_of(name) for name in _direct_names(path, posixpath.dirname(annotation)))

    def is_uploaded(self, value: str, annotation: str) -> bool:
        """Tell whether an uploaded file has exactly this name."""
        names = _direct_names(_cleaned(value), posixpath.dirname(annotation))
        return len(value) <= MAX_PATH_CHARACTERS and any(self._upload.path_of(name) for name in names)

    def vetoes(self) -> dict[tuple[str, str], str]:
        """Which matches by ending cannot stand, now that every path is known; by annotation and path, with the reason.

        Two different paths never share one file, nor does one share a file that another row names exactly. And where
        other paths of as many parts kept a folder, one that only fits without it means a file that is not there.
        """
        by_file: dict[str, list[tuple[str, str]]] = defaultdict(list)
        longest: dict[tuple[str, int], int] = defaultdict(int)
        for key, ending in self._endings.items():
            by_file[ending.name].append(key)
            longest[key[0], ending.parts] = max(longest[key[0], ending.parts], ending.matched)
        for annotation, counts in self._exact.items():
            longest |= {(annotation, count): count for count in counts}
        refused: dict[tuple[str, str], str] = {}
        for name, keys in by_file.items():
            paths = sorted({path for _, path in keys})
            for key in keys:
                ending = self._endings[key]
                if len(paths) > 1:
                    other = next(path for path in paths if path != key[1])
                    refused[key] = f"fits `{quoted(name)}` by its ending only, and so does `{quoted(other)}`"
                elif ending.matched < ending.parts and (
                    self._is_named_otherwise(key[0], ending) or ending.matched < longest[key[0], ending.parts]
                ):
                    refused[key] = f"is not in the upload; `{quoted(name)}` lies in another folder"
        return refused

    def _is_named_otherwise(self, annotation: str, ending: _Ending) -> bool:
        """Whether rows name a file exactly that this path fits only without a folder of its own.

        Another annotation file may count its paths from further up, where folder and name fit as a whole.
        """
        exact_in = self._exact_files.get(self._files[ending.name], set())
        is_whole = ending.matched == len(_parts(ending.name)) > 1
        return bool(exact_in) and (annotation in exact_in or not is_whole)

    def notice(self) -> str:
        """Say how many paths were matched by their ending, with one example; empty where none was."""
        refused = self.vetoes()
        matched = {key[1]: ending.name for key, ending in self._endings.items() if key not in refused}
        if not matched:
            return ""
        path, name = next(iter(matched.items()))
        many = f"{len(matched):,} image paths were" if len(matched) > 1 else "1 image path was"
        case = f" ({len(self._other_case):,} without regard to upper and lower case)" if self._other_case else ""
        return f"{many} matched by the ending{case}, e.g. `{quoted(path)}` as `{quoted(name)}`"

    def _stored(self, written: str) -> Path:
        """Write an image that stands in a row to a file of its own, once for equal ones."""
        try:
            content = embedded_image(written)
        except RowFault as fault:
            raise UnresolvedImageError(fault.code, fault.message) from fault
        digest = hashlib.sha256(content).hexdigest()[:24]
        path = self._embedded / digest
        if not path.exists():
            path.write_bytes(content)
            self._upload.add(f"embedded/{digest}", path, len(content))
        return path

    def _ending(self, path: str, annotation: str) -> _Ending | None:
        """Match a path by its ending. Raises UnresolvedImageError where several files fit equally well."""
        if not self._files:
            self._files = {n: p for n, p in self._upload.every_name().items() if not n.lower().endswith(ANNOTATIONS)}
        label_studio = _LABEL_STUDIO.fullmatch(path)
        plain = [path, unquote(path), re.split(r"[?#]", path)[0], *([label_studio["name"]] if label_studio else [])]
        for in_any_case in (False, True):
            for candidate in dict.fromkeys(plain):
                parts = _parts(candidate.casefold() if in_any_case else candidate)
                for length in range(min(len(parts), MAX_PARTS), 0, -1):
                    fitting = self._ending_in(length, in_any_case).get("/".join(parts[-length:]))
                    if fitting:
                        name = self._only(fitting, path, annotation)
                        if in_any_case:
                            self._other_case[path] = name
                        return _Ending(name, len(parts), length)
        return self._by_number(path, annotation)

    def _by_number(self, path: str, annotation: str) -> _Ending | None:
        """The image of a name without an extension: the same stem, or the same number with zeros before it."""
        stem = posixpath.basename(path).casefold()
        if not stem or is_image(stem):
            return None
        if self._by_stem is None:
            self._by_stem = defaultdict(list)
            for name in filter(is_image, self._files):
                own = posixpath.splitext(posixpath.basename(name))[0].casefold()
                for key in {own, *_numbers(own)}:
                    self._by_stem[key].append(name)
        fitting = self._by_stem.get(stem) or next(
            (self._by_stem[number] for number in _numbers(stem) if number in self._by_stem), []
        )
        return _Ending(self._only(fitting, path, annotation), len(_parts(path)), 1) if fitting else None

    def _ending_in(self, length: int, in_any_case: bool) -> dict[str, list[str]]:
        """Which names end in the same `length` parts. Made once for each length, so that no row searches all names."""
        if (length, in_any_case) not in self._by_ending_of:
            index = self._by_ending_of[length, in_any_case] = defaultdict(list)
            for name in self._files:
                parts = (name.casefold() if in_any_case else name).split("/")
                if len(parts) >= length:
                    index["/".join(parts[-length:])].append(name)
        return self._by_ending_of[length, in_any_case]

    def _only(self, fitting: list[str], path: str, annotation: str) -> str:
        folder = posixpath.dirname(annotation)
        in_same_folder = [name for name in fitting if folder and name.startswith(f"{folder}/")]
        best = in_same_folder if len(in_same_folder) == 1 else fitting
        if len({self._files[name] for name in best}) == 1:
            return best[0]
        listed = ", ".join(f"`{quoted(name)}`" for name in best[:MAX_CANDIDATES_SHOWN])
        more = f" and {len(best) - MAX_CANDIDATES_SHOWN} more" if len(best) > MAX_CANDIDATES_SHOWN else ""
        raise UnresolvedImageError(
            "IMG_AMBIGUOUS", f"`{quoted(path)}` fits {len(best)} uploaded images: {listed}{more}"
        )

    def _not_found(self, written: str, path: str) -> UnresolvedImageError:
        if _ADDRESS.match(written):
            message = f"`{quoted(written, 80)}` is an address; images must be uploaded, nothing is downloaded"
            return UnresolvedImageError("PATH_REFUSED", message)
        if link := self._upload.link_above(path):
            message = f"`{quoted(path)}` lies behind `{quoted(link)}`, a link that leads out of the upload"
            return UnresolvedImageError("LINK_REFUSED", message)
        if path.startswith("/") or ".." in path.split("/"):
            return UnresolvedImageError("PATH_REFUSED", f"`{quoted(written)}` lies outside the upload")
        return UnresolvedImageError("IMG_NOT_FOUND", f"`{quoted(written)}` is not in the upload{self._advice(path)}")

    def _advice(self, path: str) -> str:
        """Name the image that may have been meant, else where images are. Rows may lack 100,000 of them."""
        if self._by_likeness is None:
            self._by_likeness = {_likeness(name): name for name in self._files}
            self._images = [name for name in self._upload.files() if is_image(name)]
        close = self._by_likeness.get(_likeness(path), "")
        if close:
            return f" (did you mean `{quoted(close)}`?)"
        if not self._remaining_searches or not self._images:
            return ""
        self._remaining_searches -= 1
        by_base = {posixpath.basename(name): name for name in self._images[:MAX_FUZZY_NAMES]}
        for base in difflib.get_close_matches(posixpath.basename(path), by_base, n=1, cutoff=0.75):
            return f" (did you mean `{quoted(by_base[base])}`?)"
        folder, count = Counter(posixpath.dirname(name) for name in self._images).most_common(1)[0]
        where = f"under `{quoted(folder)}/`" if folder else "at the top"
        return f" (it has {counted(count, 'image')} {where})"


def _cleaned(written: str) -> str:
    """A path with forward slashes: without the drive of Windows, and of an address what stands behind the host."""
    path = nfc(written).strip().replace("\\", "/")
    if path.lower().startswith("file://"):
        path = unquote(path[7:])
    elif _ADDRESS.match(path):
        address = urlsplit(path)
        path = address.path + (f"?{address.query}" if address.query else "")
    if "/local-files/?" in path:  # Label Studio: the path is in the query
        path = parse_qs(urlsplit(path).query).get("d", [path])[0]
    return re.sub(r"^[A-Za-z]:(?=/)", "", path)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".", "..")]


def _numbers(stem: str) -> list[str]:
    """The number that a stem is, without zeros before it."""
    if len(stem) > MAX_STEM:
        return []
    match = _NUMBER.fullmatch(stem) or re.fullmatch(r"coco_\w+?_0*(\d+)", stem)
    return [f"#{match[1]}"] if match else []


def _direct_names(path: str, folder: str) -> Iterator[str]:
    """Yield the names that `path` has when counted from the annotation's folder and from the top."""
    if not path.startswith("/"):
        for joined in (posixpath.join(folder, path), path):
            name = posixpath.normpath(joined)
            if name != ".." and not name.startswith("../"):
                yield name


def _likeness(name: str) -> str:
    """Reduce a name to what survives typing it: case, blanks, dashes and the extension do not count."""
    stem = posixpath.splitext(posixpath.basename(name))[0]
    return re.sub(r"[\W_]+", "", stem).casefold()
