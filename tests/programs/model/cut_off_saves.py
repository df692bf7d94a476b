"""A program: cut the writing of a checkpoint off at every step it takes on the disk, and check what a run finds after.

`python cut_off_saves.py ROOT`: `ROOT/untrained` is a model. Each cut-off is a process that is killed (SIGKILL) or whose
disk refuses; a failed assertion ends the program. Prints how often the former and the new checkpoint were found.
"""

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import peft.peft_model
from saving_lab import changed_model, checkpoints_of

from backend.catalog.checkpoints import newest_resumable, verify
from backend.programs.model.encoder import Encoder
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from tests.disk_steps import DONE, KILLED, OUTLIVED, REFUSED, DiskSteps, in_child


def hear_saves(steps: DiskSteps) -> None:
    """Take a step where an adapter's weights are half written: Rust writes them, which no hook hears."""
    save_file = peft.peft_model.safe_save_file

    def save_by_halves(tensors: Any, path: str, **more: Any) -> None:
        save_file(tensors, path, **more)
        os.truncate(path, Path(path).stat().st_size // 2)
        steps.step("half of the weights")
        save_file(tensors, path, **more)

    peft.peft_model.safe_save_file = save_by_halves


def main(root: Path) -> None:
    """Go through all steps of writing `checkpoint-8` where only one checkpoint is kept and `checkpoint-4` is there."""
    steps, found = DiskSteps(kills_at_syncs=False), Counter[str]()
    hear_saves(steps)
    model, spec = changed_model(root / "untrained", "lora")
    spec = spec.with_values({"saving.keep": 1})
    encoder = Encoder(root / "untrained", 4 * 784, 64 * 784)
    checkpoints, first = checkpoints_of(Workspace(root), model, encoder, spec)
    checkpoints.write(4)

    def write(folder: Path) -> None:
        mine, _ = checkpoints_of(Workspace(folder.parent.parent), model, encoder, spec, folder.name)
        mine.write(8)

    def cut_off() -> None:
        steps.arm(folder, number, how)
        write(folder)

    for how, stride in (("kill", 2), ("fail", 5)):
        number, code = 0, DONE
        while code != OUTLIVED:
            number += stride
            folder = root / "output" / f"{how}-{number}"
            shutil.copytree(first.path, folder)
            code = in_child(steps, cut_off, OSError)
            assert code in (DONE, OUTLIVED, REFUSED, KILLED), (how, number, code)
            names = [path.name for path in RunFolder(folder).checkpoints()]
            assert names in (["checkpoint-4"], ["checkpoint-4", "checkpoint-8"], ["checkpoint-8"]), (how, number, names)
            assert newest_resumable(RunFolder(folder)) == names[-1]
            for name in names:
                assert verify(folder / name) is not None, (how, number, name)  # whole, byte for byte
            found["former" if names == ["checkpoint-4"] else "new"] += 1
            if number % 7 == 0:  # what was left stands in nobody's way
                write(folder)
                assert [path.name for path in RunFolder(folder).checkpoints()] == ["checkpoint-8"]
            shutil.rmtree(folder)
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
