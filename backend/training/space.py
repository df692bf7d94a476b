"""Whether the disk has room for one more checkpoint; where it has not, training goes on without."""

from pathlib import Path

from backend.catalog.disk import RESERVE_BYTES, free_bytes, sized


class Room:
    """What a checkpoint takes: estimated at first, then as large as the last one was."""

    def __init__(self, folder: Path, expected_bytes: int) -> None:
        """Take the run's folder, and what its first checkpoint should take."""
        self._folder, self._needed = folder, expected_bytes

    def measure(self, written: Path) -> None:
        """Take in how large a checkpoint came out."""
        self._needed = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())

    def lack(self) -> str:
        """Say what is missing for one more; empty where there is room."""
        needed, free = self._needed + RESERVE_BYTES, free_bytes(self._folder)
        if needed <= free:
            return ""
        return (
            f"The disk is nearly full: a checkpoint needs {sized(needed)} and {sized(free)} are free. "
            "None is written until there is room again; training goes on"
        )
