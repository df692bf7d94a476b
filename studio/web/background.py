"""What the web process does while nobody asks: bring the index up to date, start what may start, tidy up."""

import logging
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from backend.audit import acting
from backend.errors import StudioError
from backend.settings import Workspace
from studio.services import Services
from studio.web.images import chat_images_folder
from studio.web.login import Sessions
from studio.web.open_pages import OpenPages

LOOK_S = 2.0
TIDY_S = 600.0
FIRST_PAGE_S = 2.0  # the first visitor's page goes before drawing
KEEP_UPLOADS_S = 86_400.0
OURSELVES = "the studio"  # who draws the demo datasets at the first start
_log = logging.getLogger(__name__)


class BackgroundWork:
    """Two threads, neither of them the event loop's: a slow disk or a locked index delays no answer."""

    def __init__(self, services: Services, sessions: Sessions, pages: Iterable[OpenPages]) -> None:
        """Start nothing yet. `pages` are to be there by the time it starts."""
        self._services, self._sessions, self._pages = services, sessions, pages
        self._ended = threading.Event()
        self._looking = threading.Thread(target=self._look_after, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._looking.start()
        threading.Thread(target=self._prepare_demo, name="demo", daemon=True).start()

    def end(self) -> None:
        """Stop looking, and end the chat programs. A demo dataset half drawn is left out and drawn again next time."""
        self._ended.set()
        self._looking.join(timeout=10)
        self._sessions.keep()
        self._services.chats.close()

    def _look_after(self) -> None:
        tidied = float("-inf")
        while not self._ended.is_set():
            try:
                self._services.launcher.schedule()
                for pages in self._pages:
                    pages.forget()
                if time.monotonic() - tidied > TIDY_S:
                    tidied = time.monotonic()
                    remove_old_uploads(self._services.workspace)
                    self._sessions.keep()
            except Exception:  # noqa: BLE001 - a locked index or a full disk now says nothing about two seconds later
                _log.exception("looking after the workspace failed; trying again")
            self._ended.wait(LOOK_S)

    def _prepare_demo(self) -> None:
        if self._ended.wait(FIRST_PAGE_S):
            return
        try:
            with acting(OURSELVES):
                self._services.demo.prepare_first()
        except (StudioError, OSError) as error:
            _log.warning("The demo datasets could not be drawn; the Data page offers them again. %s", error)


def remove_old_uploads(workspace: Workspace, now: float | None = None) -> int:
    """Delete what browsers sent over a day ago and nobody imported; returns how many files and folders that were."""
    limit = (time.time() if now is None else now) - KEEP_UPLOADS_S
    chat_images = chat_images_folder(workspace)
    shared = {chat_images, *workspace.uploads.glob("of-*")}  # what lies in them ages by itself
    paths = [path for folder in (workspace.uploads, *shared) if folder.is_dir() for path in folder.iterdir()]
    old = [path for path in paths if path not in shared and _changed_at(path) < limit]
    for path in old:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(old)


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # imported meanwhile
        return float("inf")
