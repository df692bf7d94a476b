"""The part of a dataset that a row itself names, in a column such as `split`: read once all rows are known.

Whether a column is the split is told by all of its values, so a row keeps what stands in every column that may be it. A
row whose column is the split but names no part is refused: it goes to training by no accident.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from backend.conversation import Split
from backend.datasets.problems import MAX_LISTED, counted, quoted
from backend.datasets.split_names import is_together, split_of_folder, split_of_value
from backend.datasets.turns import RowFault

SPLIT_COLUMNS = (
    "split",
    "@split",
    "data_split",
    "dataset_split",
    "split_name",
    "partition",
    "划分",
    "数据划分",
    "数据集划分",
)
LIKELY_COLUMNS = ("set", "set_name", "subset", "phase", "usage", "fold", "集合", "用途")  # by their values only
MAX_SHOWN = 60  # characters of a value
MAX_VALUES_NAMED = 5
MAX_READ = 12  # values that are no plain names of parts
MAX_VALUES = MAX_LISTED  # different ones of a column; no split has more
Mark = tuple[str, str]  # a column as the row calls it, and the value


def marks_of(content: dict[str, Any], chosen: str = "") -> tuple[Mark, ...]:
    """What a row holds in the columns that may be its split, the likeliest first; blank cells are no marks.

    Args:
        content: the row as it was written.
        chosen: the column that a person named; no other is looked at then.
    """
    if chosen:
        return tuple(_marks(content, [chosen]))
    return tuple(_marks(content, _columns_of(tuple(content))))


def is_split_column(name: str) -> bool:
    """Whether a column's name alone tells that it is the split."""
    return _plain(name) in SPLIT_COLUMNS


class SplitColumns:
    """Counts the marks of all rows; after the last one `reading` tells which columns are the split."""

    def __init__(self, chosen: str = "") -> None:
        """Begin with no row; `chosen` is a column that a person named as the split."""
        self._chosen = chosen
        self._values: dict[str, Counter[str]] = defaultdict(Counter)  # by column
        self._files: dict[str, set[str]] = defaultdict(set)  # of each column, those where a row has it

    def count(self, file: str, marks: tuple[Mark, ...]) -> None:
        """Count one row of a file."""
        for column, value in marks:
            values = self._values[column]
            if value in values or len(values) < MAX_VALUES:
                values[value] += 1
            self._files[column].add(file)

    def reading(self) -> "SplitReading":
        """Tell which columns are the split, by everything that was counted."""
        columns = [column for column in self._values if column == self._chosen or self._is_split(column)]
        order = [*SPLIT_COLUMNS, *LIKELY_COLUMNS]
        columns.sort(key=lambda column: order.index(_plain(column)) if _plain(column) in order else -1)
        files = {file for column in columns for file in self._files[column]}
        return SplitReading(tuple(columns), frozenset(files), tuple(self._notices(columns)))

    def _is_split(self, column: str) -> bool:
        values = self._values[column]
        splits = {value: part_of(value, values) for value in values}
        known_rows = sum(count for value, count in values.items() if splits[value])
        if is_split_column(column):
            return known_rows > 0
        parts = {split for split in splits.values() if split}
        is_plain = all(split_of_folder(value) for value in values)
        return is_plain or (len(parts) > 1 and 2 * known_rows > values.total())

    def _notices(self, columns: list[str]) -> Iterator[str]:
        for column, values in self._values.items():
            unknown = Counter({value: count for value, count in values.items() if part_of(value, values) is None})
            if column in columns:
                spelled = [value for value in values if part_of(value, values) not in (None, value.casefold())]
                if spelled:
                    read = ", ".join(
                        f"`{quoted(each, MAX_SHOWN)}` as {split_of_value(each)}" for each in spelled[:MAX_READ]
                    )
                    yield f"Read in `{quoted(column, MAX_SHOWN)}`: {read}"
                if unknown:
                    yield (
                        f"{counted(unknown.total(), 'row')} left out: `{quoted(column, MAX_SHOWN)}` names no part of "
                        f"the dataset there: {_with_counts(unknown)}"
                    )
                together = Counter({value: count for value, count in values.items() if is_together(value)})
                if together:
                    yield f"Rows with validation rows among them, all taken for training: {_with_counts(together)}"
            elif is_split_column(column) or len(unknown) < len(values):
                yield (
                    f"`{quoted(column, MAX_SHOWN)}` was not taken for the split of the rows: its values are "
                    f"{_with_counts(values)}"
                )


class SplitReading(NamedTuple):
    """Which columns say the part of a row."""

    columns: tuple[str, ...]
    files: frozenset[str]  # where some row has one of them
    notices: tuple[str, ...]

    def split_of(self, file: str, marks: tuple[Mark, ...], by_file: Split | None) -> Split | None:
        """The part of one row: its own word goes before that of its file's name; None where neither says anything.

        Raises:
            RowFault: its column names no part, or is blank while others of the file are not and its name says nothing.
        """
        mark = next((mark for mark in marks if mark[0] in self.columns), None)
        if mark is not None:
            split = split_of_value(mark[1])
            if split is None:
                raise RowFault("SPLIT_UNKNOWN", f"Its `{mark[0]}` is `{quoted(mark[1], MAX_SHOWN)}`", mark[0])
            return split
        if by_file is None and file in self.files:
            raise RowFault("SPLIT_UNKNOWN", f"Its `{self.columns[0]}` is blank, and that of other rows is not", "")
        return by_file


def part_of(value: str, values: Counter[str]) -> Split | None:
    """Read a value beside all others of its column: `valid` beside `invalid` is no part."""
    if value.strip().casefold() == "valid" and any(other.strip().casefold() == "invalid" for other in values):
        return None
    return split_of_value(value)


@lru_cache(maxsize=1024)
def _columns_of(names: tuple[str, ...]) -> list[str]:
    """Those that may be the split, the likeliest first; of two that differ in case only, the first."""
    by_name = {_plain(name): name for name in reversed(names)}
    return [by_name[name] for name in (*SPLIT_COLUMNS, *LIKELY_COLUMNS) if name in by_name]


def _marks(content: dict[str, Any], columns: list[str]) -> Iterator[Mark]:
    for column in columns:
        value = content.get(column)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            continue
        text = str(value).strip()
        if text:
            yield column, text[: 2 * MAX_SHOWN]


def _plain(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


def _with_counts(values: Counter[str]) -> str:
    shown = ", ".join(
        f"`{quoted(value, MAX_SHOWN)}` ({count:,})" for value, count in values.most_common(MAX_VALUES_NAMED)
    )
    return shown + (" and others" if len(values) > MAX_VALUES_NAMED else "")
