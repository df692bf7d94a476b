"""What one import is asked to do, and what its steps share while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.problems import ProblemList
from backend.datasets.records import ColumnMapping

Progress = Callable[[float, str], None]  # share done from 0 to 1, and what is being done
DEFAULT_SHARE = 0.1
DEFAULT_SEED = 42


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How an upload is imported."""

    name: str = ""  # empty: made from the upload's own name
    heldout: Path | None = None  # a second upload whose rows are all held out
    heldout_share: float = DEFAULT_SHARE
    seed: int = DEFAULT_SEED
    mapping: ColumnMapping | None = None  # where the layout is not recognised
    strict: bool = False  # import nothing while one row is bad


@dataclass(frozen=True, slots=True)
class Job:
    """One import under way."""

    source: Path
    options: ImportOptions
    room: Path  # its own staging folder
    problems: ProblemList
    tell: Progress

    @property
    def folder(self) -> Path:
        """The dataset as it grows; renamed whole at the end."""
        return self.room / "dataset"

    @property
    def images(self) -> Path:
        """Where its pictures go."""
        return self.folder / "images"
