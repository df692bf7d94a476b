"""Train one run: `python -m backend.programs.training RUN_DIR`, started by the launcher on every rank."""

import sys
from pathlib import Path

from backend.errors import StudioError
from backend.programs.training.distributed import join_group, leave_group
from backend.programs.training.program import train
from backend.runs.events import STUDIO_ERROR_CODE, EventWriter
from backend.runs.folder import RunFolder


def main() -> int:
    """Run to the `end` event. A StudioError ends with its message as the last lines of the log, no traceback."""
    folder = RunFolder(Path(sys.argv[-1]).resolve())
    rank = join_group()
    events = EventWriter(folder.events) if rank == 0 else None
    try:
        train(folder, events)
    except StudioError as error:
        if events is not None:
            events.write("note", 0, level="error", text=error.message, hint=error.hint)
        sys.stderr.write(f"StudioError: {error.message}\nhint: {error.hint}\n")
        return STUDIO_ERROR_CODE
    finally:
        if events is not None:
            events.close()
        leave_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
