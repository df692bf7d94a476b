"""What the launcher's tests share."""

import time
from collections.abc import Callable

from backend.spec.run import RunSpec
from backend.store.views import RunView
from launcher.run_manager import RunManager

IMPATIENT = {"save_grace_s": 0.5, "now_grace_s": 0.3, "hang_s": 0.3}  # with programs that never obey


def until(claim: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until `claim()` is true."""
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def a_run(launcher: RunManager, name: str = "a run", **values: object) -> RunView:
    """Submit a run and return it as it is then."""
    spec = RunSpec(name=name)
    return launcher.runs.get(launcher.submit(spec.with_values(dict(values)) if values else spec))
