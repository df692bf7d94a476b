"""Export one checkpoint: `python -m backend.programs.export FOLDER`, where FOLDER holds request.json."""

import sys
from pathlib import Path

from backend.errors import StudioError
from backend.programs.export.program import export
from backend.runs.events import STUDIO_ERROR_CODE, EventWriter
from backend.runs.export_request import EVENTS, REQUEST, ExportRequest


def main() -> int:
    """Run to the `end` event; what cannot be done is a note of level error."""
    work = Path(sys.argv[-1])
    events = EventWriter(work / EVENTS)
    try:
        export(ExportRequest.model_validate_json((work / REQUEST).read_bytes()), work, events)
    except StudioError as error:
        events.write("note", 0, level="error", text=error.message, hint=error.hint)
        return STUDIO_ERROR_CODE
    finally:
        events.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
