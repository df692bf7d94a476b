"""A program: cut the writing of a checkpoint off at every step it takes on the disk, and check what a run finds after.

`python cut_off_saves.py ROOT`: `ROOT/untrained` is a model. Each cut-off is a process that is killed (SIGKILL) or whose
disk refuses; a failed assertion ends the program. Prints how often the former and the new checkpoint were found.
"""

import errno
import json
import os
import shutil
import signal
import sys
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import peft.peft_model
from saving_lab import changed_model, checkpoints_of

from backend.catalog.checkpoints import newest_resumable, verify
from backend.model.encoder import Encoder
from backend.runs.folder import RunFolder
from backend.settings import Workspace

REFUSED, DONE = 3, 0
STEPS = {"os.rename", "os.mkdir", "os.rmdir", "os.remove"}


class Disk:
    """Counts the steps of this process below a folder, and cuts it off at one of them."""

    def __init__(self) -> None:
        self.folder, self.left, self.is_kill = "", 0, True
        os.fsync = self._sync  # type: ignore[assignment]
        self._save_file = peft.peft_model.safe_save_file
        peft.peft_model.safe_save_file = self._save_by_halves  # written by Rust, which no hook hears
        sys.addaudithook(self._hear)

    def arm(self, folder: Path, number: int, *, is_kill: bool) -> None:
        self.folder, self.left, self.is_kill = str(folder), number, is_kill

    def _sync(self, handle: int) -> None:
        if not self.is_kill:  # a process that is killed at a sync leaves what it leaves at the next step
            self.step()

    def _save_by_halves(self, tensors: Any, path: str, **more: Any) -> None:
        self._save_file(tensors, path, **more)
        os.truncate(path, Path(path).stat().st_size // 2)
        self.step()
        self._save_file(tensors, path, **more)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder and any(str(arg).startswith(self.folder) for arg in args[:2]):
            writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if event in STEPS or writes:
                self.step()

    def step(self) -> None:
        if not self.folder:
            return
        self.left -= 1
        if self.left == 0 and self.is_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")


def in_child(disk: Disk, write: Any, folder: Path, number: int, how: str) -> int:
    """Write in a process of its own that is cut off at its `number`-th step; -9 where it was killed."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            disk.arm(folder, number, is_kill=how == "kill")
            write(folder)
            code = DONE if disk.left > 0 else DONE + 10
        except OSError:
            code = REFUSED
        except BaseException:  # noqa: BLE001 - shown here: the process ends without a traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def main(root: Path) -> None:
    """Go through all steps of writing `checkpoint-8` where only one checkpoint is kept and `checkpoint-4` is there."""
    disk, found = Disk(), Counter[str]()
    model, spec = changed_model(root / "untrained", "lora")
    spec = spec.with_values({"saving.keep": 1})
    encoder = Encoder(root / "untrained", 4 * 784, 64 * 784)
    checkpoints, first = checkpoints_of(Workspace(root), model, encoder, spec)
    checkpoints.write(4)

    def write(folder: Path) -> None:
        mine, _ = checkpoints_of(Workspace(folder.parent.parent), model, encoder, spec, folder.name)
        mine.write(8)

    for how, stride in (("kill", 2), ("fail", 5)):
        number, code = 0, None
        while code != DONE:
            number += stride
            folder = root / "output" / f"{how}-{number}"
            shutil.copytree(first.path, folder)
            code = in_child(disk, write, folder, number, how)
            assert code in (DONE, DONE + 10, REFUSED, -signal.SIGKILL), (how, number, code)
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
