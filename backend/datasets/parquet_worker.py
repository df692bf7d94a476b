"""`python -m backend.datasets.parquet_worker SOURCE INTO LABEL LIMIT BYTES`: turn parquet into JSON lines.

A program of its own: pyarrow is large and reads foreign bytes. Writes `INTO/rows.jsonl` and each image found inside
the table as `INTO/0000001` and so on; in the rows such an image is named `LABEL/0000001`. LIMIT 0 means every row. All
that is written takes at most BYTES: a table of a few kilobytes may say one text a million times.
Prints a `TableOutcome` of `backend.datasets.table_rows`.
"""

import errno
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from backend.datasets.archive import MAX_MEMBERS
from backend.datasets.limits import MAX_COLUMNS, confine

MAX_MEMORY_BYTES = 16 * 1024**3
SMALLEST_MEMORY_BYTES = 2 * 1024**3  # of which Python and pyarrow take a sixth
MAX_ROWS = 20_000_000
MAX_NESTING = 32
BLOCK_BYTES = 4_096  # what the smallest file takes on a disk
BATCH_ROWS = 64
Reader = Callable[[Any], Any]  # of one value


class TableRefusal(Exception):
    """The table may not be converted: a code of the problem list and a message that follows its name and size."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class TableWriter:
    """Writes the rows and the images of a table, and no more than it may."""

    def __init__(self, into: Path, label: str, max_bytes: int) -> None:
        self._into, self._label, self._max_bytes = into, label, max_bytes
        self._rows = (into / "rows.jsonl").open("wb")
        self._images = 0
        self.written_bytes = 0

    def write(self, row: dict[str, Any]) -> None:
        """Write one row, and the images in it. Raises Refusal before anything would become too large."""
        line = json.dumps(self._without_images(row), default=str).encode() + b"\n"
        self._count(len(line))
        self._rows.write(line)

    def close(self) -> None:
        """Bring the last rows to the disk."""
        self._rows.close()

    def _without_images(self, value: Any) -> Any:
        """Replace every image inside `value` by its name."""
        if isinstance(value, bytes):
            return self._write_image(value)
        if isinstance(value, list):
            return [self._without_images(item) for item in value]
        if isinstance(value, dict):
            if value.keys() <= {"bytes", "path"} and "bytes" in value:
                return value.get("path") if value["bytes"] is None else self._write_image(value["bytes"])
            return {key: self._without_images(item) for key, item in value.items()}
        return value

    def _write_image(self, content: bytes) -> str:
        self._count(max(len(content), BLOCK_BYTES))
        self._images += 1
        if self._images > MAX_MEMBERS:
            raise TableRefusal("TABLE_TOO_LARGE", f"holds more than {MAX_MEMBERS:,} images")
        name = f"{self._images:07d}"
        (self._into / name).write_bytes(content)
        return f"{self._label}/{name}"

    def _count(self, count: int) -> None:
        self.written_bytes += count
        if self.written_bytes > self._max_bytes:
            raise TableRefusal("TABLE_BOMB", f"expands to more than {self._max_bytes:,}")


def convert(source: Path, writer: TableWriter, limit: int, max_bytes: int) -> int:
    """Write the first `limit` rows, or all where that is 0, into `spool`; returns how many the file has.

    Raises:
        Refusal: the table is larger than it may be.
        OSError: the disk refuses; also what pyarrow raises of a damaged file.
    """
    if source.suffix.lower() == ".arrow":
        return _convert_arrow(source, writer, limit)
    table, remaining = pq.ParquetFile(source), limit or sys.maxsize
    _refuse_bomb(table, max_bytes)
    readers = _readers_of(table.schema_arrow)
    for batch in table.iter_batches(batch_size=BATCH_ROWS):
        _write(batch, readers, remaining, writer)
        remaining -= batch.num_rows
        if remaining <= 0:
            break
    writer.close()
    return int(table.metadata.num_rows)


def _convert_arrow(source: Path, writer: TableWriter, limit: int) -> int:
    """The same for a file of `datasets.save_to_disk`; it is not packed, so its size bounds it."""
    count = 0
    with pa.memory_map(str(source)) as mapped:
        try:
            stream = pa.ipc.open_stream(mapped)
            schema, batches = stream.schema, iter(stream)
        except pa.ArrowInvalid:
            mapped.seek(0)
            file = pa.ipc.open_file(mapped)
            schema, batches = file.schema, (file.get_batch(place) for place in range(file.num_record_batches))
        readers = _readers_of(schema)
        for batch in batches:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                part = batch.slice(start, BATCH_ROWS)
                _write(part, readers, limit - count if limit else sys.maxsize, writer)
                count += part.num_rows
    writer.close()
    return count


def _write(batch: pa.RecordBatch, readers: dict[str, Reader], most: int, writer: TableWriter) -> None:
    for row in batch.to_pylist()[: max(0, most)]:
        writer.write(row | {name: read(row[name]) for name, read in readers.items()})


def _readers_of(schema: pa.Schema) -> dict[str, Reader]:
    """How to read the columns whose Python values are not what was written."""
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features") or {}
    readers = {field.name: _reader(field.type, described.get(field.name)) for field in schema}
    return {name: read for name, read in readers.items() if read is not None}


def _reader(kind: pa.DataType, feature: Any) -> Reader | None:
    """Read labels of classes as their names and short floats with their own digits; None where nothing is to do.

    Args:
        kind: as the table stores it.
        feature: as `datasets` describes it in the table's metadata, where it does.
    """
    if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and feature.get("names"):
        names = feature["names"]
        return lambda value: names[value] if isinstance(value, int) and 0 <= value < len(names) else None
    if pa.types.is_float32(kind) or pa.types.is_float16(kind):
        exact = np.float32 if pa.types.is_float32(kind) else np.float16
        return lambda value: None if value is None else float(str(exact(value)))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        inner = feature[0] if isinstance(feature, list) and feature else (feature or {}).get("feature")
        read = _reader(kind.value_type, inner)
        return read and (lambda value: None if value is None else [read(each) for each in value])
    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        known = feature if isinstance(feature, dict) else {}
        inside = {field.name: _reader(field.type, known.get(field.name)) for field in fields}
        changed = {name: read for name, read in inside.items() if read is not None}
        return (lambda value: value and value | {n: r(value[n]) for n, r in changed.items()}) if changed else None
    return None


def _refuse_bomb(table: pq.ParquetFile, max_bytes: int) -> None:
    """Compare what the file says of itself with the limits, before a row is read."""
    metadata = table.metadata
    if metadata.num_columns > MAX_COLUMNS:
        raise TableRefusal("TABLE_TOO_LARGE", f"has {metadata.num_columns:,} columns; the limit is {MAX_COLUMNS:,}")
    if metadata.num_rows > MAX_ROWS:
        raise TableRefusal("TABLE_TOO_LARGE", f"has {metadata.num_rows:,} rows; the limit is {MAX_ROWS:,}")
    if (depth := _depth(table.schema_arrow)) > MAX_NESTING:
        raise TableRefusal("TABLE_TOO_LARGE", f"is nested {depth} deep; the limit is {MAX_NESTING}")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    if (values := sum(chunk.num_values for chunk in chunks)) > max_bytes:  # each is a byte at least
        raise TableRefusal("TABLE_BOMB", f"holds {values:,} values; {max_bytes:,} bytes are the most for its size")
    if (unpacked := sum(chunk.total_uncompressed_size for chunk in chunks)) > max_bytes:
        raise TableRefusal("TABLE_BOMB", f"unpacks to {unpacked:,}; {max_bytes:,} are the most for its size")


def _depth(schema: pa.Schema) -> int:
    """How many levels its most nested column has."""
    pending, deepest = [(field.type, 1) for field in schema], 0
    while pending:
        kind, depth = pending.pop()
        deepest = max(deepest, depth)
        pending += [(kind.field(number).type, depth + 1) for number in range(kind.num_fields)]
    return deepest


def main(source: str, into: str, label: str, limit: str, bytes_allowed: str) -> None:
    """Convert the file and say how that went. Raises whatever pyarrow raises; the parent reports the last line."""
    max_bytes = int(bytes_allowed)
    memory_bytes = min(MAX_MEMORY_BYTES, SMALLEST_MEMORY_BYTES + 2 * max_bytes)
    confine(memory_bytes)
    pa.set_cpu_count(1)
    writer, outcome = TableWriter(Path(into), label, max_bytes), dict[str, Any]()
    try:
        outcome["rows"] = convert(Path(source), writer, int(limit), max_bytes)
    except TableRefusal as refusal:
        outcome |= {"code": refusal.code, "message": refusal.message}
    except MemoryError:
        outcome |= {"code": "TABLE_BOMB", "message": f"needs more than {memory_bytes / 1024**3:.1f} GiB of memory"}
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        outcome |= {"errno": error.errno}
    print(json.dumps(outcome | {"written_bytes": writer.written_bytes}))  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
