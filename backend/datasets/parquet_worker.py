"""`python -m backend.datasets.parquet_worker SOURCE INTO LABEL LIMIT`: turn parquet into JSON lines.

A program of its own: pyarrow is large and reads foreign bytes. Writes `INTO/rows.jsonl` and each picture found inside
the table as `INTO/0000001` and so on; in the rows such a picture is named `LABEL/0000001`. LIMIT 0 means every row.
Prints the number of rows of the whole file.
"""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backend.datasets.confinement import confine

MEMORY_BYTES = 16 * 1024**3
MAX_PICTURE_BYTES = 50 * 1024**3  # all pictures of the file together
BATCH_ROWS = 64


class Spool:
    """Writes the pictures of a table to files of their own."""

    def __init__(self, into: Path, label: str) -> None:
        self._into, self._label = into, label
        self._count = 0
        self._bytes_left = MAX_PICTURE_BYTES

    def plain(self, value: Any) -> Any:
        """Replace every picture inside `value` by its name."""
        if isinstance(value, bytes):
            return self._keep(value)
        if isinstance(value, list):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            if value.keys() <= {"bytes", "path"} and "bytes" in value:
                return value.get("path") if value["bytes"] is None else self._keep(value["bytes"])
            return {key: self.plain(item) for key, item in value.items()}
        return value

    def _keep(self, content: bytes) -> str:
        self._bytes_left -= len(content)
        if self._bytes_left < 0:
            raise SystemExit(f"the pictures inside are larger than {MAX_PICTURE_BYTES >> 30} GiB")
        self._count += 1
        name = f"{self._count:07d}"
        (self._into / name).write_bytes(content)
        return f"{self._label}/{name}"


def main(source: str, into: str, label: str, limit: str) -> None:
    """Convert the file. Raises whatever pyarrow raises; the parent reports the last line."""
    confine(MEMORY_BYTES)
    pa.set_cpu_count(1)
    spool, left = Spool(Path(into), label), int(limit) or sys.maxsize
    table = pq.ParquetFile(source)
    with Path(into, "rows.jsonl").open("w", encoding="utf-8") as sink:
        for batch in table.iter_batches(batch_size=BATCH_ROWS):
            for row in batch.to_pylist()[:left]:
                sink.write(json.dumps(spool.plain(row), default=str) + "\n")
            left -= batch.num_rows
            if left <= 0:
                break
    print(table.metadata.num_rows)  # noqa: T201 - the answer to the parent


if __name__ == "__main__":
    main(*sys.argv[1:])
