"""One file under two names, without a second copy where the disk can do that."""

import errno
import os
import shutil
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK}


def link_or_copy(source: Path, target: Path) -> None:
    """Let `target`, which is not there yet, hold what `source` holds, whole at once.

    Raises:
        OSError: the disk refuses; there is no `target`.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with source.open("rb") as reader, partial.open("wb") as sink:
            shutil.copyfileobj(reader, sink)
            sink.flush()
            os.fsync(sink.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
