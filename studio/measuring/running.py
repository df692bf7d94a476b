"""The means of an evaluation's answers so far, for pages that ask every other second: each line is read once."""

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from backend.jsonl import lines_from

MOST_FILES = 64  # remembered


@dataclass(slots=True)
class Means:
    """Sums over the lines of one file so far."""

    inode: int
    offset: int = 0
    rows: int = 0
    sums: dict[str, tuple[float, int]] = field(default_factory=dict)  # by metric: its sum, and over how many rows

    @property
    def means(self) -> dict[str, float]:
        """The mean of each metric over the rows it applies to."""
        return {name: total / count for name, (total, count) in self.sums.items() if count}


class RunningMeans:
    """Reads on in files of answers. Safe to use from any thread."""

    def __init__(self) -> None:
        self._known: OrderedDict[Path, Means] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: Path) -> Means | None:
        """The means of a file as it is now; None where there is no file."""
        with self._lock:
            try:
                status = path.stat()
            except OSError:
                return None
            found = self._known.get(path)
            if found is None or found.inode != status.st_ino or found.offset > status.st_size:
                found = self._known[path] = Means(status.st_ino)
            self._known.move_to_end(path)
            if len(self._known) > MOST_FILES:
                self._known.popitem(last=False)
            _read_on(path, found)
            return found


def _read_on(path: Path, found: Means) -> None:
    while True:
        begun = found.offset
        for line in lines_from(path, begun):
            found.offset = line.end
            try:
                scores = json.loads(line.raw)["scores"]
            except (ValueError, KeyError, TypeError):
                continue
            found.rows += 1
            for name, score in scores.items():
                total, count = found.sums.get(name, (0.0, 0))
                found.sums[name] = (total + (score or 0.0), count + (score is not None))
        if found.offset == begun:
            return
