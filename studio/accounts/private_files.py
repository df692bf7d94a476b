"""Write a file that only its owner may read, whole or not at all."""

import os
import threading
from pathlib import Path

from backend.jsonl import sync_folder

MODE = 0o600


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by `content`; no other user of the machine can read it at any moment.

    Raises:
        OSError: the disk refuses; the old file is untouched.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    partial.unlink(missing_ok=True)
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(handle, "wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
