"""Train run folders one after the other in one process: their paths come line by line, on every rank the same.

The real program from end to end, without paying for its imports each time. Each that is done is said on stdout.
"""

import gc
import os
import sys
from pathlib import Path

from accelerate.state import AcceleratorState, GradientState, PartialState

from backend.programs.training.distributed import join_group, leave_group
from backend.programs.training.program import train
from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder


def main() -> None:
    said = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the program prints is no answer
    rank = join_group()
    gc.freeze()  # what was imported stays: looking through it after every run takes as long as a short run
    for line in sys.stdin:
        folder = RunFolder(Path(line.strip()))
        events = EventWriter(folder.events) if rank == 0 else None
        train(folder, events)
        if events is not None:
            events.close()
        for state in (AcceleratorState, GradientState):
            state._reset_state()
        PartialState._shared_state.clear()
        gc.collect()  # DeepSpeed knows a run by a weak reference to its arguments
        said.write(line)
    leave_group()


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    main()
