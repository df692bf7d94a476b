"""Forget what Gradio keeps of pages that were closed.

For each page that was ever opened it keeps every component as it was last shown, a megabyte or more, and lets none go
before there are thousands. The values of a closed page end after an hour anyhow, so that is how long the rest may stay.

A page whose connection broke counts as closed, and Gradio never takes that back: one that is used again is open until
an hour after its last use. A program that asks like a page, but holds no connection as browsers do, never counts as
closed: `MOST_PAGES` bounds those, and the one that asked least lately goes first.
"""

import datetime

from gradio.state_holder import StateHolder

KEPT = datetime.timedelta(hours=1)  # for somebody whose connection broke
MOST_KEPT = 20  # closed pages in each language
MOST_PAGES = 300  # of all kinds in each language


class ClosedPages:
    """Those of one of the studio's pages, looked at every few seconds by one thread."""

    def __init__(self, holder: StateHolder) -> None:
        self._holder = holder
        self._closed_at: dict[str, datetime.datetime] = {}  # when they were first seen closed
        self._returned: set[str] = set()  # used after that, and open again

    def forget(self, now: datetime.datetime | None = None) -> int:
        """Let closed pages go that are an hour old, or that are more than a few, the oldest first; return how many.

        Args:
            now: for tests.
        """
        now = now or datetime.datetime.now()  # noqa: DTZ005 - Gradio notes the times of this clock
        holder, latest = self._holder, now - KEPT
        known = list(holder.session_data)
        closed = sorted((self._used(name, latest), name) for name in known if self._is_closed(name, now))
        old = [name for place, (used, name) in enumerate(closed) if used < latest or place < len(closed) - MOST_KEPT]
        for name in old:
            holder.delete_state(name)
            with holder.lock:
                holder.session_data.pop(name, None)
                holder.time_last_used.pop(name, None)
        left = set(known).difference(old)
        self._closed_at = {name: seen for name, seen in self._closed_at.items() if name in left}
        self._returned &= left
        return len(old)

    def _is_closed(self, name: str, now: datetime.datetime) -> bool:
        session = self._holder.session_data.get(name)
        if session is None:
            return False
        if session.is_closed and self._used(name, now) > self._closed_at.setdefault(name, now):
            session.is_closed = False
            self._returned.add(name)
            del self._closed_at[name]
        elif name in self._returned and self._used(name, now) < now - KEPT:
            session.is_closed = True
        return bool(session.is_closed)

    def _used(self, name: str, otherwise: datetime.datetime) -> datetime.datetime:
        """When it last asked something."""
        return self._holder.time_last_used.get(name, otherwise)
