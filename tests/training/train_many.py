"""Train several run folders in one process, one after the other: `python train_many.py RUN_DIR...`, on every rank.

The real program from end to end, without paying for its imports each time.
"""

import gc
import os
import sys
from pathlib import Path

from accelerate.state import AcceleratorState, GradientState, PartialState

from backend.runs.events import EventWriter
from backend.runs.folder import RunFolder
from backend.training.distributed import join_group, leave_group
from backend.training.program import train


def main() -> None:
    rank = join_group()
    for path in sys.argv[1:]:
        folder = RunFolder(Path(path))
        events = EventWriter(folder.events) if rank == 0 else None
        train(folder, events)
        if events is not None:
            events.close()
        for state in (AcceleratorState, GradientState):
            state._reset_state()
        PartialState._shared_state.clear()
        gc.collect()  # DeepSpeed knows a run by a weak reference to its arguments
    leave_group()


if __name__ == "__main__":
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    main()
