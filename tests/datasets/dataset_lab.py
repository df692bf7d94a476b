"""Small uploads, made on the spot."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from PIL import Image

from backend.datasets.records import ImportReport


def image_bytes(
    size: tuple[int, int] = (40, 30), color: Any = "red", kind: str = "PNG", mode: str = "RGB", **save: Any
) -> bytes:
    """One plain image as a file's content."""
    sink = io.BytesIO()
    Image.new(mode, size, color).save(sink, kind, **save)
    return sink.getvalue()


def as_bytes(content: Any) -> bytes:
    """Bytes and texts as they are, anything else as JSON."""
    if isinstance(content, bytes):
        return content
    return (content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)).encode()


def lines_of(rows: list[Any]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def folder_of(path: Path, files: dict[str, Any]) -> Path:
    """Write files below a new folder."""
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(as_bytes(content))
    return path


def zip_of(path: Path, files: dict[str, Any], method: int = zipfile.ZIP_DEFLATED) -> Path:
    """Write files into a new zip."""
    with zipfile.ZipFile(path, "w", method) as zipped:
        for name, content in files.items():
            zipped.writestr(name, as_bytes(content))
    return path


def parquet_of(rows: list[dict[str, Any]], **how: Any) -> bytes:
    """Rows as a parquet file's content."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, **how)
    return sink.getvalue()


def asked(
    image: str | list[str] | None, question: str = "<image>\nWhat colour?", answer: str = "Red", **more: Any
) -> dict[str, Any]:
    """A row in the official layout."""
    turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return ({} if image is None else {"image": image}) | {"conversations": turns} | more


def many(count: int) -> dict[str, Any]:
    """A folder's files: `count` rows about as many different images."""
    files: dict[str, Any] = {f"images/{n:03d}.png": image_bytes(color=(n % 256, n // 256, 99)) for n in range(count)}
    files["data.json"] = [asked(f"images/{n:03d}.png", answer=f"Answer {n}") for n in range(count)]
    return files


def codes(report: ImportReport) -> dict[str, int]:
    """How often each code was reported."""
    return dict(report.manifest.problem_counts)


def tree(path: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
