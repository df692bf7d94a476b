"""The browsers that are logged in. Kept on disk by digest: whoever reads the file can log in by nothing in it."""

import hashlib
import logging
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.jsonl import write_atomically
from backend.settings import Workspace
from studio.accounts.account_file import PRIVATE, Account, AccountFile

IDLE_S = 14 * 86_400.0  # one that asks nothing for so long is over
LONGEST_S = 90 * 86_400.0
MOST_PER_ACCOUNT = 50  # the one that was idle longest goes
TOKEN_BYTES = 32
_NOTED_EVERY_S = 60.0

_log = logging.getLogger(__name__)


class Session(BaseModel):
    """One browser that is logged in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_id: str
    begun_at: float
    seen_at: float


class _Content(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: dict[str, Session]  # by the token's sha256


class Sessions:
    """Begins, knows and ends them. Safe to use from any thread; only the web process writes the file."""

    def __init__(self, workspace: Workspace, accounts: AccountFile, now: Callable[[], float] = time.time) -> None:
        """Take up those that an earlier server left; a damaged file holds none."""
        self._path, self._accounts, self._now = workspace.sessions, accounts, now
        self._lock, self._writing = threading.Lock(), threading.Lock()  # nobody who asks waits for the disk
        self._known = _sessions_in(self._path)
        self._is_kept = True

    def begin(self, account: Account) -> str:
        """Log a browser in and give the token that it shows from now on."""
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._now()
        with self._lock:
            self._known[_digest(token)] = Session(account_id=account.id, begun_at=now, seen_at=now)
            own = [digest for digest, each in self._known.items() if each.account_id == account.id]
            own.sort(key=lambda digest: self._known[digest].seen_at)
            for digest in own[:-MOST_PER_ACCOUNT]:
                del self._known[digest]
            self._is_kept = False
        self.keep()
        return token

    def account_of(self, token: str) -> Account | None:
        """Whose session a token is; None where it is over, or its account is gone or has another password."""
        found = self._known.get(_digest(token)) if token else None
        if found is None:
            return None
        now = self._now()
        if self._is_over(found, now):
            return None
        if now - found.seen_at > _NOTED_EVERY_S:
            self._note(_digest(token), found, now)
        return self._accounts.with_id(found.account_id)

    def end(self, token: str) -> None:
        """Log a browser out."""
        with self._lock:
            if self._known.pop(_digest(token), None) is None:
                return
            self._is_kept = False
        self.keep()

    def keep(self) -> None:
        """Write down what changed, without what is over. A disk that refuses costs a later login, nothing else."""
        with self._writing:
            with self._lock:
                if self._is_kept:
                    return
                now = self._now()
                self._known = {digest: each for digest, each in self._known.items() if not self._is_over(each, now)}
                content, self._is_kept = _Content(sessions=dict(self._known)), True
            try:
                write_atomically(self._path, content.model_dump_json().encode(), PRIVATE)
            except OSError as error:
                self._is_kept = False
                _log.warning("who is logged in could not be written down: %s", error.strerror)

    def _note(self, digest: str, session: Session, now: float) -> None:
        with self._lock:
            if digest in self._known:
                self._known[digest] = session.model_copy(update={"seen_at": now})
                self._is_kept = False

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.seen_at > IDLE_S or now - session.begun_at > LONGEST_S


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _sessions_in(path: Path) -> dict[str, Session]:
    try:
        return dict(_Content.model_validate_json(path.read_bytes()).sessions)
    except (OSError, ValidationError):
        return {}
