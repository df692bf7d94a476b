"""Cut a process off at any step it takes on the disk below a folder: killed there, or refused by a full disk."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

KILLED, REFUSED, DONE = -signal.SIGKILL, 3, 0
OUTLIVED = 10  # done, and there were fewer steps than that
_STEPS = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}


class DiskSteps:
    """Hears the steps of this process: opened for writing, renamed, linked, removed, made, synced."""

    def __init__(self, *, kills_at_syncs: bool = True) -> None:
        """Begin to hear; nothing is counted before `arm`.

        Args:
            kills_at_syncs: a process that is killed at a sync leaves what it leaves at the next step, so a long test
                may spare itself those.
        """
        self._folder, self._left, self._is_kill, self._kills_at_syncs = "", 0, True, kills_at_syncs
        os.fsync = self._sync  # type: ignore[assignment]  # also: no time is spent waiting for the disk
        sys.addaudithook(self._hear)

    def arm(self, folder: Path, number: int, how: str) -> None:
        """Count the steps below `folder` from now on, and cut off at the `number`-th: `kill` or `fail`."""
        self._folder, self._left, self._is_kill = str(folder), number, how == "kill"

    @property
    def is_outlived(self) -> bool:
        return self._left > 0

    def step(self, event: str) -> None:
        """Take one, as for what no hook hears. Raises OSError where the disk shall refuse."""
        if not self._folder:
            return
        self._left -= 1
        if self._left == 0 and self._is_kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._left == 0:
            raise OSError(errno.ENOSPC, f"No space left on device ({event})")

    def _sync(self, handle: int) -> None:
        if self._kills_at_syncs or not self._is_kill:
            self.step(f"fsync {handle}")

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._folder or not any(str(arg).startswith(self._folder) for arg in args[:2]):
            return
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if event in _STEPS or writes:
            self.step(event)


def in_child(steps: DiskSteps, act: Callable[[], None], refusal: type[Exception]) -> int:
    """Let `act`, which arms the steps, run in a process of its own; `refusal` is raised where the disk refuses.

    Returns:
        How that ended: KILLED, REFUSED, DONE, OUTLIVED, or 1 for anything else, which is printed.
    """
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            act()
            code = OUTLIVED if steps.is_outlived else DONE
        except refusal:
            code = REFUSED
        except BaseException:  # noqa: BLE001 - shown here: the process ends without a traceback
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
