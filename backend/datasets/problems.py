"""Problems that an import may report, by its code: how grave it is and what to do. Catalogues translate by code."""

import csv
import errno
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict

from backend.errors import DatasetError

MAX_LISTED = 1_000
MAX_SHOWN = 200  # characters of a quoted value
COLUMNS = ("code", "severity", "file", "line", "record", "field", "message", "hint")
Severity = Literal["error", "warning", "info"]
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class DatasetProblem(BaseModel):
    """One thing wrong with one row or file. An error leaves the row out, a warning keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str  # stable, e.g. IMG_TRUNCATED; the catalogues translate title and hint by it
    severity: Severity
    file: str  # as the person named it, e.g. "train.jsonl" or "images/0042.png"
    line: int | None = None  # 1-based: line of a jsonl, element of a json list, row of a table
    record: str = ""  # the row's own id, where it has one
    field: str = ""  # e.g. "images[0]"
    message: str
    hint: str


class Code(NamedTuple):
    """What a code stands for. An error leaves a row out (or refuses the upload); a warning keeps it."""

    severity: Severity
    hint: str


CODES: dict[str, Code] = {
    # the upload as a whole is refused
    "ARCHIVE_PATH": Code("error", "Zip the folder again from its parent, without absolute or `..` paths"),
    "ARCHIVE_SPECIAL": Code("error", "Replace links by the files they point to, then zip again"),
    "ARCHIVE_BOMB": Code("error", "Zip only the annotation file and its images"),
    "ARCHIVE_TOO_LARGE": Code("error", "Cut the dataset into several uploads, or import the unpacked folder"),
    "ARCHIVE_NESTED": Code("error", "Unpack the inner archives and zip the plain files"),
    "ARCHIVE_ENCRYPTED": Code("error", "Zip again without a password"),
    "ARCHIVE_DAMAGED": Code("error", "Zip or upload it again; the file is cut off or was changed"),
    "ARCHIVE_KIND": Code("error", "Unpack it and upload a .zip, or the annotation file with its images"),
    "ARCHIVE_METHOD": Code("error", "Zip again with the ordinary method (Deflate)"),
    "ARCHIVE_DUPLICATE": Code("error", "Zip the folder again, each file once"),
    "TABLE_BOMB": Code("error", "Write each image and each long text once, or export JSON lines beside the images"),
    "DISK_FULL": Code("error", "Free some space, then import again; nothing was left behind"),
    "UPLOAD_UNREADABLE": Code("error", "Check the path and that you may read it"),
    "UPLOAD_KIND": Code("error", "Give a .zip, a folder, or a .json, .jsonl, .csv, .tsv or .parquet file"),
    "NO_ANNOTATION": Code("error", "Add a .json, .jsonl, .csv, .tsv or .parquet file with a question and answer a row"),
    "NO_ROWS": Code("error", "Put at least one row with an answer into the file"),
    "LAYOUT_UNKNOWN": Code("error", "Say which column holds the image, the question and the answer"),
    "IMAGES_UNNAMED": Code(
        "error", "Say which column names the image, or that these rows are meant to have none"
    ),
    "FILE_UNKNOWN": Code("error", "Name files by their paths inside the upload"),
    "NO_VALID_ROWS": Code("error", "Correct the rows as the problems say, then import again"),
    "NO_TRAINING_ROWS": Code("error", "Give a file with training rows too, or rename it so that it names no part"),
    "STRICT": Code("error", "Correct these rows, or import without `strict` to keep the good ones"),
    "DATASET_NAME": Code("error", "Use lower-case letters, digits, dots and dashes, for example `receipts-2`"),
    "NAME_TAKEN": Code("error", "Choose another name, or delete the dataset that has this one"),
    # one file
    "FILE_SKIPPED": Code("info", "Nothing to do if it is no annotation file; else map its columns"),
    "FILE_TOO_LARGE": Code("error", "Save it as .jsonl, one row a line, or as a plain list of rows"),
    "JSON_INVALID": Code("error", "Correct the syntax there; a JSON checker shows the place"),
    "JSON_TOO_DEEP": Code("error", "A row is an object of texts and lists; remove the nesting"),
    "OBJECT_UNCLEAR": Code("error", "Keep one list of rows in it, or save the rows as .jsonl, one a line"),
    "LINE_TOO_LONG": Code("error", "Write one row a line, and name images by path instead of embedding them"),
    "TEXT_ENCODING": Code("error", "Save the file as UTF-8, or say how it is encoded"),
    "TABLE_INVALID": Code("error", "Export the table again as UTF-8 CSV with a header row"),
    "TABLE_HEADER": Code("error", "Name the columns in the first line, such as image,question,answer"),
    "COLUMN_TWICE": Code("warning", "Give each column a name of its own"),
    "SHEETS_UNREAD": Code("warning", "Put the sheet with the rows first, or save each as a file of its own"),
    "WORKBOOK_INVALID": Code("error", "Open it in Excel and save it again as .xlsx, or as CSV in UTF-8"),
    "CELL_ERROR": Code("warning", "Correct the formula, or write the value itself"),
    "TABLE_TOO_LARGE": Code("error", "Keep only the columns that are needed, and cut the rest into several files"),
    "PARQUET_INVALID": Code("error", "Write it again with pyarrow or `datasets`, or export JSON lines"),
    "ARCHIVE_NAMES": Code("info", "Nothing to do if the names look right; else zip again with UTF-8 names"),
    "ARCHIVE_NAME_CASE": Code("warning", "Make sure that rows mean the one they name; other systems mix them up"),
    "COLUMN_UNUSED": Code("warning", "Say which part it plays if the model should see it; rewards get it by its name"),
    "COLUMN_IMAGES": Code("warning", "Name it as a column of images if the model should see them"),
    "ROWS_TEXT_ONLY": Code("warning", "Nothing to do if they are meant as text; else name their images"),
    "ROWS_EQUAL": Code("warning", "Remove one of the files or rows if they are not meant to count more"),
    "ANSWERS_DIFFER": Code("warning", "Keep the right answer, or list all right ones as `references` of one row"),
    # one row
    "CHOICE_UNKNOWN": Code("error", "Write the letter or the text of the choice as the answer"),
    "ROW_NOT_OBJECT": Code("error", "Write each row as an object with named fields"),
    "ROW_UNRECOGNISED": Code("error", "Give it the same fields as the other rows"),
    "VIDEO_ROW": Code("error", "Only images can be learned from; replace the video by frames, or remove the row"),
    "AUDIO_ROW": Code("error", "Only images can be learned from; remove the row"),
    "TEXT_TYPE": Code("error", "Write it as one text"),
    "TEXT_REPAIRED": Code("warning", "Half a character was replaced by `\N{REPLACEMENT CHARACTER}`; check the text"),
    "JSON_DUPLICATE_KEY": Code("warning", "The last one counts; remove the others"),
    "SPECIAL_TOKEN": Code("error", "Remove it from the text; the studio writes the model's own marks itself"),
    "GROUNDING_PLACEHOLDER": Code("error", "Write the names and boxes into the text itself, in pixels of the image"),
    "ROLE_UNKNOWN": Code("error", "Use `user` and `assistant` (or `human` and `gpt`), and `system` for the first turn"),
    "TOOL_CALL": Code("error", "Calls of tools are not learned; remove these turns or rows"),
    "ROLE_ORDER": Code("error", "After an optional system turn, user and assistant take turns, user first"),
    "ANSWER_MISSING": Code("error", "Add an answer, or delete the row"),
    "REFERENCES_INVALID": Code(
        "warning", "Write a list of texts, or of objects with an `answer`; the row was kept without them"
    ),
    "ANSWER_EMPTY": Code("error", "Write the answer, or delete the row"),
    "QUESTION_EMPTY": Code("error", "Write the question, or put an image there"),
    "IMG_COUNT": Code("error", "Write one `<image>` for each image of the row, in the user's turns"),
    "IMG_IN_ANSWER": Code("error", "Only user turns may show images; move it there, or remove the placeholder"),
    "IMG_REFERENCE": Code("error", "Name the image by its path inside the upload"),
    "PATH_REFUSED": Code("error", "Put the image into the upload and name it by its path there"),
    "IMG_NOT_FOUND": Code("error", "Add the image, or correct its name; paths count from the annotation file"),
    "LINK_REFUSED": Code("error", "Copy the folder with what its links point to, for example with `cp -rL`"),
    "IMG_EMBEDDED": Code("error", "Write the image in base64 once more, or as a file beside the rows"),
    "IMG_AMBIGUOUS": Code("error", "Write more of the path, so that it fits one image only"),
    # one image
    "IMG_TRUNCATED": Code("error", "Copy or download the image again; its end is missing"),
    "IMG_UNDECODABLE": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_FORMAT_REFUSED": Code("error", "Save it as JPEG, PNG or WebP"),
    "IMG_TOO_LARGE": Code("error", "Scale it down; the model sees a fraction of a megapixel anyway"),
    "IMG_ASPECT": Code("error", "Crop it, or cut it into several images"),
    "IMG_CRASHED": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_TIMEOUT": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_SMALL": Code("warning", "It is scaled up; use a larger original if there is one"),
    "IMG_ANIMATED": Code("warning", "Only the first frame is kept"),
    "IMG_CONVERTED": Code("warning", "It was stored as RGB; nothing to do unless colours look wrong"),
    "IMG_ROTATED": Code("warning", "It was turned upright; boxes in the answers must fit the turned image"),
    "IMG_METADATA": Code("warning", "Its broken metadata was dropped; the image is kept"),
    "IMG_UNREFERENCED": Code("info", "Nothing to do; they were not stored"),
    "IMG_DUPLICATE": Code("info", "Nothing to do; each is stored once"),
    "SPLIT_UNKNOWN": Code("error", "Write `train`, `validation` or `test` there, or rename the column if it is none"),
    "SPLIT_LEAK": Code("warning", "Remove these rows from one of the two, or scores will look better than they are"),
    # a stored dataset
    "ROWS_CHANGED": Code("warning", "Runs of the earlier rows will refuse it; import the change as a new dataset"),
    "ROW_INVALID": Code("error", "Delete the dataset and import it again"),
    "IMAGE_GONE": Code("error", "Delete the dataset and import it again"),
    "VERSION_GONE": Code("warning", "Runs of that version cannot go on from its rows; the current rows are whole"),
}  # fmt: skip


class UploadRefused(DatasetError):
    """Nothing was imported. `code` says why; `problems` lists what was found on the way."""

    def __init__(self, code: str, message: str, *, hint: str = "", problems: tuple[DatasetProblem, ...] = ()) -> None:
        super().__init__(message, hint=hint or CODES[code].hint)
        self.code = code
        self.problems = problems


def refused_by_disk(error: OSError) -> UploadRefused:
    """Say what the operating system refused, in words."""
    if error.errno in _DISK_FULL:
        return UploadRefused("DISK_FULL", "The disk is full")
    where = f" `{quoted(str(error.filename))}`" if error.filename else ""
    return UploadRefused("UPLOAD_UNREADABLE", f"The disk refuses{where}: {error.strerror or error}")


class Place(NamedTuple):
    """Where something stands in the upload."""

    file: str
    line: int | None = None  # 1-based: line of a jsonl, element of a json list, row of a table
    record: str = ""  # the row's own id
    unit: str = "row"  # what `line` counts: "line" or "row"

    def __str__(self) -> str:
        """Say it as the start of a sentence: "Line 17 of `train.jsonl`"."""
        file = f"`{quoted(self.file)}`"
        return file if self.line is None else f"{self.unit.capitalize()} {self.line:,} of {file}"


class ProblemList:
    """Keeps up to 1,000 problems, errors before warnings before infos, and complete counts by code."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._bad_rows: dict[str, set[int]] = defaultdict(set)
        self._listed: dict[Severity, list[DatasetProblem]] = {severity: [] for severity in get_args(Severity)}

    def add(self, code: str, place: Place, message: str, field: str = "", *, count: int = 1) -> None:
        """Report `message`, which follows the place and a colon, under `code`; `count` things stand behind it."""
        severity, hint = CODES[code]
        self.counts[code] += count
        if severity == "error" and place.line is not None:
            self._bad_rows[place.file].add(place.line)
        if len(self._listed[severity]) < MAX_LISTED:
            problem = DatasetProblem(
                code=code,
                severity=severity,
                file=quoted(place.file),
                line=place.line,
                record=quoted(place.record),
                field=field,
                message=f"{place}: {message}",
                hint=hint,
            )
            self._listed[severity].append(problem)

    @property
    def bad_rows(self) -> int:
        """How many different rows have an error."""
        return sum(len(lines) for lines in self._bad_rows.values())

    @property
    def errors(self) -> int:
        """How many errors there are, listed or not."""
        return sum(count for code, count in self.counts.items() if CODES[code].severity == "error")

    def listed(self) -> tuple[DatasetProblem, ...]:
        """The problems that are listed, gravest first."""
        return tuple(problem for group in self._listed.values() for problem in group)[:MAX_LISTED]


@lru_cache(maxsize=4096)
def quoted(text: str, limit: int = MAX_SHOWN) -> str:
    """Make a foreign text safe to quote: control characters escaped, the middle of a long one left out."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: limit * 2])
    return plain if len(plain) <= limit else f"{plain[: limit - 20]}…{plain[-19:]}"


def counted(count: int, noun: str) -> str:
    """Write "1 image" or "1,200 images"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def as_csv(problems: Iterable[DatasetProblem]) -> str:
    """Write problems as CSV with a header; a cell that a spreadsheet would run as a formula starts with `'`."""
    sink = io.StringIO()
    table = csv.writer(sink)
    table.writerow(COLUMNS)
    for problem in problems:
        cells = ["" if value is None else str(value) for value in (getattr(problem, name) for name in COLUMNS)]
        table.writerow([f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell for cell in cells])
    return sink.getvalue()
