"""Whether the disk has room for one more checkpoint; where it has not, training goes on without."""

from pathlib import Path

from backend.catalog.disk import RESERVE_BYTES, free_bytes, sized


class Room:
    """What a checkpoint takes: estimated at first, then as large as the last one was."""

    def __init__(self, folder: Path, expected_bytes: int, final_bytes: int = 0) -> None:
        """Take the run's folder, what its first checkpoint should take, and what the final model will."""
        self._folder, self._needed, self._kept_free = folder, expected_bytes, final_bytes + RESERVE_BYTES

    def measure(self, written: Path) -> None:
        """Take in how large a checkpoint came out."""
        self._needed = sum(path.stat().st_size for path in written.rglob("*") if path.is_file())

    def lack(self) -> str:
        """Say what is missing for one more; empty where there is room."""
        needed, free = self._needed + self._kept_free, free_bytes(self._folder)
        if needed <= free:
            return ""
        return (
            f"The disk is nearly full: a checkpoint and the final model need {sized(needed)}, and {sized(free)} are "
            "free. No checkpoint is written until there is room again; training goes on"
        )
