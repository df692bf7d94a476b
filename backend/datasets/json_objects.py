"""Which rows a JSON object holds: it is one itself, lists them, keeps them by id, by part or column by column."""

from typing import Any

from backend.datasets.columns import FileColumns, is_enough
from backend.datasets.formats import rows_of_format
from backend.datasets.split_names import split_of_folder
from backend.datasets.turns import is_turns

ABOUT = frozenset({"info", "licenses", "license", "meta", "metadata", "version", "schema", "stats", "readme"})
LISTS = (  # what sets call their rows, where an object holds several lists
    "data", "rows", "examples", "samples", "items", "annotations", "questions", "qa_pairs", "qa", "qas", "instances",
)  # fmt: skip
MAX_DEPTH = 3
Content = dict[str, Any]


class UnclearObjectError(Exception):
    """An object may be read in two ways; the message says both."""


def rows_in(value: Content, depth: int = 0) -> list[Content]:
    """List the rows of an object.

    Where it is no row itself: rows of a known format; lists of rows by part (`{"train": [...], "val": [...]}`, whose
    rows get a `split`); columns (`{"image": [...], "answer": [...]}`, or as pandas writes them); rows by id; the one
    list of objects in it, whose rows get the fields beside it. An object that is none of these is a row.

    Raises:
        UnclearObjectError: it holds several lists of objects.
    """
    if rows := rows_of_format(value):
        return rows
    if rows := _by_column(value):
        return rows
    if is_row(value):
        return [value]
    if rows := _by_part(value, depth) or _by_id(value):
        return rows
    if name := _inner_list(value):
        return _with_outer(value, name)
    inner = [each for name, each in value.items() if isinstance(each, dict) and name not in ABOUT]
    return rows_in(inner[0], depth + 1) if len(inner) == 1 and depth < MAX_DEPTH else [value]


def expanded(row: Content) -> list[Content]:
    """The rows of an element of a list: itself, or those that it lists, such as the questions about one image."""
    if not any(_is_list_of_objects(each) for each in row.values()) or is_row(row):
        return [row]
    if rows := rows_of_format(row):
        return rows
    lists = [name for name in row if name in LISTS and _is_list_of_objects(row[name])]
    return _with_outer(row, lists[0]) if len(lists) == 1 else [row]


def is_row(value: Content) -> bool:
    """Tell whether an object has an answer to something, or turns."""
    own = {name: each for name, each in value.items() if name not in ABOUT and not _is_list_of_records(name, each)}
    return any(is_turns(each) for each in own.values()) or is_enough(FileColumns([own]).mapping)


def _inner_list(value: Content) -> str:
    """Name the list of objects that holds the rows; empty where there is none. Raises UnclearObjectError."""
    lists = [name for name, each in value.items() if _is_list_of_objects(each)]
    usual = [name for name in LISTS if name in lists]
    if len(lists) > 1 and len(usual) != 1:
        listed = " or ".join(f"`{name}`" for name in lists[:4])
        raise UnclearObjectError(f"It is one object, and its rows may be {listed}")
    return next(iter(usual if len(lists) > 1 else lists), "")


def _with_outer(value: Content, name: str) -> list[Content]:
    """The rows of a list with the fields beside it; a row's own field goes before."""
    beside = {key: each for key, each in value.items() if key != name and not isinstance(each, list)}
    outer = {key: each for key, each in beside.items() if key not in ABOUT}
    return [outer | row if isinstance(row, dict) else row for row in value[name]]


def _by_part(value: Content, depth: int) -> list[Content]:
    parts = {name: split_of_folder(name) for name in value if name not in ABOUT}
    if not parts or not all(parts.values()):
        return []
    rows: list[Content] = []
    for name in parts:
        found = value[name] if isinstance(value[name], list) else None
        if found is None and isinstance(value[name], dict) and depth < MAX_DEPTH:
            found = rows_in(value[name], depth + 1)
        if found is None or not all(isinstance(row, dict) for row in found):
            return []
        rows += [{"split": name} | row for row in found]
    return rows


def _by_column(value: Content) -> list[Content]:
    """Rows of `{"image": [...]}`, and of pandas' `columns` and `split` orients."""
    if isinstance(value.get("columns"), list) and isinstance(value.get("data"), list):
        names = [str(name) for name in value["columns"]]
        return [dict(zip(names, row, strict=False)) for row in value["data"] if isinstance(row, list)]
    columns = {name: each for name, each in value.items() if name not in ABOUT}
    if len(columns) < 2:
        return []
    if all(isinstance(each, list) for each in columns.values()):
        if len({len(each) for each in columns.values()}) != 1:
            return []
        rows = [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]
        return rows if rows and is_row(rows[0]) else []
    if all(isinstance(each, dict) for each in columns.values()):
        keys = list(next(iter(columns.values())))
        if all(list(each) == keys for each in columns.values()):
            rows = [{name: each[key] for name, each in columns.items()} for key in keys]
            return rows if rows and is_row(rows[0]) else []
    return []


def _by_id(value: Content) -> list[Content]:
    """Rows by their ids, as ScienceQA has them."""
    rows = {name: each for name, each in value.items() if name not in ABOUT}
    if not rows or not all(isinstance(each, dict) for each in rows.values()):
        return []
    first = next(iter(rows.values()))
    if not any(is_row(each) for each in list(rows.values())[:20]) or not isinstance(first, dict):
        return []
    return [{"id": name} | each for name, each in rows.items()]


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and not is_turns(value)


def _is_list_of_records(name: str, value: Any) -> bool:
    """Whether a value is a table of its own, as `images` of COCO is, rather than the images of a row."""
    return _is_list_of_objects(value) and not (name == "images" and not {"id", "file_name"} <= value[0].keys())
