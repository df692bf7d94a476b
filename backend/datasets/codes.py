"""Every code an import may report: how grave it is and what to do about it, once. Catalogues translate by code."""

from typing import NamedTuple

from backend.datasets.records import Severity


class Code(NamedTuple):
    """What a code stands for. An error leaves a row out (or refuses the upload); a warning keeps it."""

    severity: Severity
    hint: str


CODES: dict[str, Code] = {
    # the upload as a whole is refused
    "ARCHIVE_PATH": Code("error", "Zip the folder again from its parent, without absolute or `..` paths"),
    "ARCHIVE_SPECIAL": Code("error", "Replace links by the files they point to, then zip again"),
    "ARCHIVE_BOMB": Code("error", "Zip only the annotation file and its pictures"),
    "ARCHIVE_TOO_LARGE": Code("error", "Cut the dataset into several uploads, or import the unpacked folder"),
    "ARCHIVE_NESTED": Code("error", "Unpack the inner archives and zip the plain files"),
    "ARCHIVE_ENCRYPTED": Code("error", "Zip again without a password"),
    "ARCHIVE_DAMAGED": Code("error", "Zip or upload it again; the file is cut off or was changed"),
    "ARCHIVE_KIND": Code("error", "Unpack it and upload a .zip, or the annotation file with its pictures"),
    "ARCHIVE_METHOD": Code("error", "Zip again with the ordinary method (Deflate)"),
    "ARCHIVE_DUPLICATE": Code("error", "Zip the folder again, each file once"),
    "TABLE_BOMB": Code("error", "Write each picture and each long text once, or export JSON lines beside the pictures"),
    "DISK_FULL": Code("error", "Free some space, then import again; nothing was left behind"),
    "UPLOAD_UNREADABLE": Code("error", "Check the path and that you may read it"),
    "UPLOAD_KIND": Code("error", "Give a .zip, a folder, or a .json, .jsonl, .csv, .tsv or .parquet file"),
    "NO_ANNOTATION": Code("error", "Add a .json, .jsonl, .csv, .tsv or .parquet file with a question and answer a row"),
    "NO_ROWS": Code("error", "Put at least one row with an answer into the file"),
    "LAYOUT_UNKNOWN": Code("error", "Say which column holds the picture, the question and the answer"),
    "NO_VALID_ROWS": Code("error", "Correct the rows as the problems say, then import again"),
    "NO_TRAINING_ROWS": Code("error", "Give a file with training rows too, or rename it so that it is not held out"),
    "STRICT": Code("error", "Correct these rows, or import without `strict` to keep the good ones"),
    "DATASET_NAME": Code("error", "Use lower-case letters, digits, dots and dashes, for example `receipts-2`"),
    "NAME_TAKEN": Code("error", "Choose another name, or delete the dataset that has this one"),
    # one file
    "FILE_SKIPPED": Code("info", "Nothing to do if it is no annotation file; else map its columns"),
    "FILE_TOO_LARGE": Code("error", "Save it as .jsonl, one row a line, or as a plain list of rows"),
    "JSON_INVALID": Code("error", "Correct the syntax there; a JSON checker shows the place"),
    "JSON_TOO_DEEP": Code("error", "A row is an object of texts and lists; remove the nesting"),
    "LINE_TOO_LONG": Code("error", "Write one row a line, and name pictures by path instead of embedding them"),
    "TEXT_ENCODING": Code("error", "Save the file as UTF-8"),
    "TABLE_INVALID": Code("error", "Export the table again as UTF-8 CSV with a header row"),
    "TABLE_TOO_LARGE": Code("error", "Keep only the columns that are needed, and cut the rest into several files"),
    "PARQUET_INVALID": Code("error", "Write it again with pyarrow or `datasets`, or export JSON lines"),
    "ARCHIVE_NAMES": Code("info", "Nothing to do if the names look right; else zip again with UTF-8 names"),
    "ARCHIVE_NAME_CASE": Code("warning", "Make sure that rows mean the one they name; other systems mix them up"),
    # one row
    "ROW_NOT_OBJECT": Code("error", "Write each row as an object with named fields"),
    "ROW_UNRECOGNISED": Code("error", "Give it the same fields as the other rows"),
    "VIDEO_ROW": Code("error", "Only pictures can be learned from; replace the video by frames, or remove the row"),
    "AUDIO_ROW": Code("error", "Only pictures can be learned from; remove the row"),
    "TEXT_TYPE": Code("error", "Write it as one text"),
    "TEXT_REPAIRED": Code("warning", "Half a character was replaced by `\N{REPLACEMENT CHARACTER}`; check the text"),
    "JSON_DUPLICATE_KEY": Code("warning", "The last one counts; remove the others"),
    "SPECIAL_TOKEN": Code("error", "Remove it from the text; the studio writes the model's own marks itself"),
    "GROUNDING_PLACEHOLDER": Code("error", "Write the names and boxes into the text itself, in pixels of the picture"),
    "ROLE_UNKNOWN": Code("error", "Use `user` and `assistant` (or `human` and `gpt`), and `system` for the first turn"),
    "ROLE_ORDER": Code("error", "After an optional system turn, user and assistant take turns, user first"),
    "ANSWER_MISSING": Code("error", "Add an answer, or delete the row"),
    "REFERENCES_INVALID": Code(
        "warning", "Write a list of texts, or of objects with an `answer`; the row was kept without them"
    ),
    "ANSWER_EMPTY": Code("error", "Write the answer, or delete the row"),
    "QUESTION_EMPTY": Code("error", "Write the question, or put a picture there"),
    "IMG_COUNT": Code("error", "Write one `<image>` for each picture of the row, in the user's turns"),
    "IMG_IN_ANSWER": Code("error", "Only user turns may show pictures; move it there, or remove the placeholder"),
    "IMG_REFERENCE": Code("error", "Name the picture by its path inside the upload"),
    "PATH_REFUSED": Code("error", "Put the picture into the upload and name it by its path there"),
    "IMG_NOT_FOUND": Code("error", "Add the picture, or correct its name; paths count from the annotation file"),
    "IMG_AMBIGUOUS": Code("error", "Write more of the path, so that it fits one picture only"),
    # one picture
    "IMG_TRUNCATED": Code("error", "Copy or download the picture again; its end is missing"),
    "IMG_UNDECODABLE": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_FORMAT_REFUSED": Code("error", "Save it as JPEG, PNG or WebP"),
    "IMG_TOO_LARGE": Code("error", "Scale it down; the model sees a fraction of a megapixel anyway"),
    "IMG_ASPECT": Code("error", "Crop it, or cut it into several pictures"),
    "IMG_CRASHED": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_TIMEOUT": Code("error", "Open it in an image editor and save it again as PNG or JPEG"),
    "IMG_SMALL": Code("warning", "It is scaled up; use a larger original if there is one"),
    "IMG_ANIMATED": Code("warning", "Only the first frame is kept"),
    "IMG_CONVERTED": Code("warning", "It was stored as RGB; nothing to do unless colours look wrong"),
    "IMG_ROTATED": Code("warning", "It was turned upright; boxes in the answers must fit the turned picture"),
    "IMG_METADATA": Code("warning", "Its broken metadata was dropped; the picture is kept"),
    "IMG_UNREFERENCED": Code("info", "Nothing to do; they were not stored"),
    "IMG_DUPLICATE": Code("info", "Nothing to do; each is stored once"),
    "SPLIT_LEAK": Code("warning", "Remove these rows from one of the two, or scores will look better than they are"),
    # a stored dataset
    "ROWS_CHANGED": Code("warning", "Runs of the earlier rows will refuse it; import the change as a new dataset"),
    "ROW_INVALID": Code("error", "Delete the dataset and import it again"),
    "PICTURE_GONE": Code("error", "Delete the dataset and import it again"),
    "VERSION_GONE": Code("warning", "Runs of that version cannot go on from its rows; the current rows are whole"),
}  # fmt: skip
