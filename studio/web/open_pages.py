"""Which pages are open, and forgetting what Gradio keeps of those that are not.

For each page that was ever opened it keeps every component as it was last shown, half a megabyte, and lets none go
before there are thousands. A browser holds a connection for as long as a page is open; a page without one is kept for
an hour after its last use, for somebody whose connection broke, as long as it is among the few that were used last.
"""

import datetime
import threading
from collections import Counter
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from gradio.state_holder import StateHolder

KEPT = datetime.timedelta(hours=1)  # as long as Gradio keeps the values of a page that it takes for closed
MOST_KEPT = 20  # pages without a connection in each language
MOST_ADDED = 200  # components beyond those of the page; some ten kilobytes each
MOST_EVENTS_NOTED = 1_000  # events
MOST_PAGES = 300  # of all kinds in each language


class OpenPages:
    """Those of one language. Safe to use from any thread."""

    def __init__(self, holder: StateHolder, event_log: MutableMapping[str, Any] | None = None) -> None:
        """Look after what `holder` keeps, and `event_log`, in which Gradio notes for nobody each event there was."""
        self._holder = holder
        self._event_log: MutableMapping[str, Any] = {} if event_log is None else event_log
        self._connections: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def connected(self, name: str) -> Iterator[None]:
        """A browser holds a page's connection for as long as this lasts."""
        with self._lock:
            self._connections[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._connections[name] -= 1
                self._connections += Counter()  # without those that have come to none

    def forget_if_full(self, name: str) -> None:
        """Before a page is used that may be new: forget others where they are too many."""
        sessions = self._holder.session_data
        if name not in sessions and len(sessions) >= len(self._connections) + MOST_KEPT:
            self.forget()

    def tidy(self, name: str) -> None:
        """Drop what Gradio adds to a page's components each time that one is changed and used: it never does itself.

        On the event loop only, where Gradio does not stand between adding one and using it.
        """
        session = self._holder.session_data.get(name)
        if session is None:
            return
        built, components = self._holder.blocks.default_config.blocks, session.blocks_config.blocks
        if len(components) > len(built) + MOST_ADDED:
            for number in [number for number in components if number not in built]:
                del components[number]
                session.config_values.pop(number, None)

    def forget(self, now: datetime.datetime | None = None) -> int:
        """Let pages without a connection go that rested for an hour, or that are too many; return how many went.

        Args:
            now: for tests.
        """
        if len(self._event_log) > MOST_EVENTS_NOTED:
            self._event_log.clear()
        latest = (now or datetime.datetime.now()) - KEPT  # noqa: DTZ005 - Gradio notes the times of this clock
        with self._lock:
            return self._forget(latest)

    def _forget(self, latest: datetime.datetime) -> int:
        holder, resting = self._holder, []
        for name, session in list(holder.session_data.items()):
            used = holder.time_last_used.get(name, latest)
            session.is_closed = name not in self._connections and used < latest  # Gradio never takes it back
            if name not in self._connections:
                resting.append((used, name))
        resting.sort()
        old = [name for place, (used, name) in enumerate(resting) if used < latest or place < len(resting) - MOST_KEPT]
        for name in old:
            holder.delete_state(name)
            with holder.lock:
                holder.session_data.pop(name, None)
                holder.time_last_used.pop(name, None)
        return len(old)
