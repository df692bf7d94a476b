"""How a program of one process does what a run's folder asks for, and tells why where it cannot."""

import sys
from collections.abc import Callable
from pathlib import Path

from backend.errors import StudioError
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder

STUDIO_ERROR_CODE = 3


def run_to_end(act: Callable[[RunFolder, EventWriter], None]) -> int:
    """Act on the folder that is the program's only argument. Returns the exit code.

    A StudioError ends with its message as the last lines of the log, no traceback.
    """
    folder = RunFolder(Path(sys.argv[-1]).resolve())
    events = EventWriter(folder.events)
    try:
        act(folder, events)
    except StudioError as error:
        events.write("note", 0, level="error", text=error.message, hint=error.hint)
        sys.stderr.write(f"StudioError: {error.message}\nhint: {error.hint}\n")
        return STUDIO_ERROR_CODE
    finally:
        events.close()
    return 0
