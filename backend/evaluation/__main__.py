"""Evaluate one run's contestants: `python -m backend.evaluation RUN_DIR`, started by the launcher."""

import sys
from pathlib import Path

from backend.errors import StudioError
from backend.evaluation.program import evaluate
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder

STUDIO_ERROR_CODE = 3


def main() -> int:
    """Run to the `end` event. A StudioError ends with its message as the last lines of the log, no traceback."""
    folder = RunFolder(Path(sys.argv[-1]).resolve())
    events = EventWriter(folder.events)
    try:
        evaluate(folder, events)
    except StudioError as error:
        events.write("note", 0, level="error", text=error.message, hint=error.hint)
        sys.stderr.write(f"StudioError: {error.message}\nhint: {error.hint}\n")
        return STUDIO_ERROR_CODE
    finally:
        events.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
