"""Forget what Gradio keeps of pages that were closed.

For each page that was ever opened it keeps every component as it was last shown, a megabyte or more, and lets none go
before there are thousands. The values of a closed page end after an hour anyhow, so that is how long the rest may stay.
A program that asks like a page, but holds no connection as browsers do, never counts as closed: `MOST_PAGES` bounds
those, and the one that asked least lately goes first.
"""

import datetime

from gradio.state_holder import StateHolder

KEPT = datetime.timedelta(hours=1)  # for somebody whose connection broke
MOST_KEPT = 20  # closed pages in each language
MOST_PAGES = 300  # of all kinds in each language


def forget_closed(holder: StateHolder, now: datetime.datetime | None = None) -> int:
    """Let closed pages go that are an hour old, or that are more than a few, the oldest first; return how many.

    Args:
        holder: of one of the studio's pages.
        now: for tests.
    """
    latest = (now or datetime.datetime.now()) - KEPT  # noqa: DTZ005 - Gradio notes the times of this clock
    known = [(holder.time_last_used.get(name, latest), name) for name in list(holder.session_data)]
    closed = sorted((used, name) for used, name in known if _is_closed(holder, name))
    old = [name for place, (used, name) in enumerate(closed) if used < latest or place < len(closed) - MOST_KEPT]
    for name in old:
        holder.delete_state(name)
        with holder.lock:
            holder.session_data.pop(name, None)
            holder.time_last_used.pop(name, None)
    return len(old)


def _is_closed(holder: StateHolder, name: str) -> bool:
    session = holder.session_data.get(name)
    return session is not None and session.is_closed
