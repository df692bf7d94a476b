"""Which uploaded image a row means. The row's text is only ever compared with names, never opened."""

import difflib
import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from backend.datasets.problems import counted, quoted
from backend.datasets.upload import ANNOTATIONS, Upload, is_image, nfc

MAX_CANDIDATES_SHOWN = 4
MAX_PARTS = 64  # of a path that are compared: each number of parts is an index of all names
MAX_FUZZY = 20  # missing images for which near names are searched, which is slow
MAX_FUZZY_NAMES = 5_000
MAX_PATH_CHARACTERS = 4_096
_ADDRESS = re.compile(r"(?!file:)[a-z][a-z0-9+.-]+:(//|[^/\\])", re.IGNORECASE)  # http://..., data:...


class UnresolvedImageError(Exception):
    """No uploaded image, or more than one, fits. Carries a code of the problem list and its message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ImageResolver:
    """Finds images by the paths that rows give, and remembers how."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._files: dict[str, Path] = {}  # filled when the first path must be searched for
        self._by_ending_of: dict[int, dict[str, list[str]]] = {}  # parts of a path -> ending -> names
        self._by_likeness: dict[str, str] | None = None
        self._images: list[str] = []  # their names, likewise
        self._remaining_searches = MAX_FUZZY
        self._matched: dict[str, str] = {}  # paths that were matched by their ending -> name

    def resolve(self, written: str, annotation: str) -> Path:
        """Find the image that `reference`, written in the file `annotation`, means.

        In this order: the path from the annotation's folder, from the top of the upload, and the longest ending of the
        path that fits exactly one uploaded file (one in the annotation's folder going before the others).

        Raises:
            UnresolvedError: PATH_REFUSED, IMG_NOT_FOUND or IMG_AMBIGUOUS.
        """
        if _ADDRESS.match(written) and not re.match(r"[A-Za-z]:[/\\]", written):
            raise UnresolvedImageError(
                "PATH_REFUSED", f"`{quoted(written, 80)}` is an address; images must be uploaded"
            )
        path = nfc(unquote(written[7:]) if written.lower().startswith("file://") else written).strip()
        path = re.sub(r"^[A-Za-z]:(?=/)", "", path.replace("\\", "/"))
        for name in _direct_names(path, posixpath.dirname(annotation)):
            image = self._upload.path_of(name)
            if image is not None:
                return image
        name = self._by_ending(path, annotation)
        if name:
            self._matched.setdefault(written, name)
            return self._files[name]
        if path.startswith("/") or ".." in path.split("/"):
            raise UnresolvedImageError("PATH_REFUSED", f"`{quoted(written)}` lies outside the upload")
        raise UnresolvedImageError("IMG_NOT_FOUND", f"`{quoted(written)}` is not in the upload{self._advice(path)}")

    def may_be_named_by(self, value: Any, annotation: str) -> bool:
        """Tell whether a cell of the file `annotation` looks like it names an image, or is one that is uploaded."""
        if isinstance(value, dict):
            value = next((value[key] for key in ("path", "url", "bytes") if isinstance(value.get(key), str)), None)
        if not isinstance(value, str) or not 0 < len(value) < MAX_PATH_CHARACTERS or "\n" in value:
            return isinstance(value, str) and value.startswith("data:image/")
        if is_image(value.split("?")[0]):
            return not value.lower().startswith(("http://", "https://"))
        return any(self._upload.path_of(name) for name in _direct_names(value, posixpath.dirname(annotation)))

    def notice(self) -> str:
        """Say how many paths were matched by their ending, with one example; empty where none was."""
        if not self._matched:
            return ""
        written, name = next(iter(self._matched.items()))
        count = len(self._matched)
        many = f"{count:,} image paths were" if count > 1 else "1 image path was"
        return f"{many} matched by the ending, e.g. `{quoted(written)}` as `{quoted(name)}`"

    def _by_ending(self, path: str, annotation: str) -> str:
        if not self._files:
            self._files = {n: p for n, p in self._upload.every_name().items() if not n.lower().endswith(ANNOTATIONS)}
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for length in range(min(len(parts), MAX_PARTS), 0, -1):
            fitting = self._ending_in(length).get("/".join(parts[-length:]))
            if fitting:
                return self._only(fitting, path, annotation)
        return ""

    def _ending_in(self, length: int) -> dict[str, list[str]]:
        """Which names end in the same `length` parts. Made once for each length, so that no row searches all names."""
        if length not in self._by_ending_of:
            index = self._by_ending_of[length] = defaultdict(list)
            for name in self._files:
                parts = name.split("/")
                if len(parts) >= length:
                    index["/".join(parts[-length:])].append(name)
        return self._by_ending_of[length]

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
