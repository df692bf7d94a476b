"""How often somebody may guess: five times, then after waits that grow, for each account and address alone."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

FREE = 5  # wrong passwords that cost no wait
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
FORGOTTEN_S = 3600.0  # after the last one
MOST_KEPT = 10_000
Guesser = tuple[str, str]  # the account's name as typed, the address


class _Failures(NamedTuple):
    number: int
    last: float


class Attempts:
    """Counts wrong passwords. An attempt counts as wrong from its beginning, so that many at once gain nothing."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._failures: OrderedDict[Guesser, _Failures] = OrderedDict()

    def begin(self, guesser: Guesser) -> float:
        """Count an attempt; or give the seconds that must pass before the next one, and count nothing."""
        with self._lock:
            now = self._now()
            known = self._failures.pop(guesser, _Failures(0, now))
            if now - known.last > FORGOTTEN_S:
                known = _Failures(0, now)
            wait_s = known.last + wait_after(known.number) - now
            self._failures[guesser] = known if wait_s > 0 else _Failures(known.number + 1, now)
            while len(self._failures) > MOST_KEPT:
                self._failures.popitem(last=False)
            return max(0.0, wait_s)

    def forgive(self, guesser: Guesser) -> None:
        """The password was right: what was wrong before it is forgotten."""
        with self._lock:
            self._failures.pop(guesser, None)


def wait_after(failures: int) -> float:
    """The seconds from the last of so many wrong passwords to the next try."""
    if failures < FREE:
        return 0.0
    return float(min(FIRST_WAIT_S * 2 ** min(failures - FREE, 20), LONGEST_WAIT_S))
