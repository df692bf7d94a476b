"""Logging in: slow to guess, as long for a name that nobody has; and the sessions of the browsers that are in."""

import asyncio
import hashlib
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.audit import acting, audit
from backend.jsonl import write_atomically
from backend.settings import Workspace
from studio.web.account_file import MOST_CHARACTERS, PRIVATE, Account, AccountFile, is_right, tidy

FREE = 5  # wrong passwords that cost no wait
FIRST_WAIT_S = 15.0
LONGEST_WAIT_S = 900.0
FORGOTTEN_S = 3600.0  # after the last one
MOST_KEPT = 10_000
Guesser = tuple[str, str]  # the account's name as typed, the address
IDLE_S = 14 * 86_400.0  # one that asks nothing for so long is over
LONGEST_S = 90 * 86_400.0
MOST_PER_ACCOUNT = 50  # the one that was idle longest goes
TOKEN_BYTES = 32
_NOTED_EVERY_S = 60.0
_log = logging.getLogger(__name__)
NOBODY = "the page"  # who acts where there are no accounts, and who is not logged in
HASHES_AT_ONCE = 2  # each takes 32 MiB and a core
MOST_WAITING = 8
BUSY_S = 3.0


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
            failures = self._failures.pop(guesser, _Failures(0, now))
            if now - failures.last > FORGOTTEN_S:
                failures = _Failures(0, now)
            wait_s = failures.last + wait_after(failures.number) - now
            self._failures[guesser] = failures if wait_s > 0 else _Failures(failures.number + 1, now)
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


class Session(BaseModel):
    """One browser that is logged in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    account_id: str
    begun_at: float
    seen_at: float


class _SessionsContent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: dict[str, Session]  # by the token's sha256


class Sessions:
    """Begins, knows and ends them. Safe to use from any thread; only the web process writes the file."""

    def __init__(self, workspace: Workspace, accounts: AccountFile, now: Callable[[], float] = time.time) -> None:
        """Take up those that an earlier server left; a damaged file holds none."""
        self._path, self._accounts, self._now = workspace.sessions, accounts, now
        self._lock, self._writing = threading.Lock(), threading.Lock()  # nobody who asks waits for the disk
        self._sessions = _sessions_in(self._path)
        self._is_kept = True

    def begin(self, account: Account) -> str:
        """Log a browser in and give the token that it shows from now on."""
        token, now = secrets.token_urlsafe(TOKEN_BYTES), self._now()
        with self._lock:
            self._sessions[_digest(token)] = Session(account_id=account.id, begun_at=now, seen_at=now)
            own = [digest for digest, each in self._sessions.items() if each.account_id == account.id]
            own.sort(key=lambda digest: self._sessions[digest].seen_at)
            for digest in own[:-MOST_PER_ACCOUNT]:
                del self._sessions[digest]
            self._is_kept = False
        self.keep()
        return token

    def account_of(self, token: str) -> Account | None:
        """Whose session a token is; None where it is over, or its account is gone or has another password."""
        session = self._sessions.get(_digest(token)) if token else None
        if session is None:
            return None
        now = self._now()
        if self._is_over(session, now):
            return None
        if now - session.seen_at > _NOTED_EVERY_S:
            self._note(_digest(token), session, now)
        return self._accounts.with_id(session.account_id)

    def end(self, token: str) -> None:
        """Log a browser out."""
        with self._lock:
            if self._sessions.pop(_digest(token), None) is None:
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
                self._sessions = {
                    digest: each for digest, each in self._sessions.items() if not self._is_over(each, now)
                }
                content, self._is_kept = _SessionsContent(sessions=dict(self._sessions)), True
            try:
                write_atomically(self._path, content.model_dump_json().encode(), PRIVATE)
            except OSError as error:
                self._is_kept = False
                _log.warning("who is logged in could not be written down: %s", error.strerror)

    def _note(self, digest: str, session: Session, now: float) -> None:
        with self._lock:
            if digest in self._sessions:
                self._sessions[digest] = session.model_copy(update={"seen_at": now})
                self._is_kept = False

    def _is_over(self, session: Session, now: float) -> bool:
        return now - session.seen_at > IDLE_S or now - session.begun_at > LONGEST_S


@dataclass(frozen=True, slots=True)
class LogInResult:
    """What came of an attempt: a token, or a wait, or neither where name and password do not go together."""

    token: str = ""
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What somebody typed, where from, and the session that a success replaces."""

    name: str
    password: str
    address: str
    replaces: str = ""


@dataclass(slots=True)
class LogIns:
    """Answers attempts. One for a server."""

    workspace: Workspace
    accounts: AccountFile
    sessions: Sessions
    attempts: Attempts = field(default_factory=Attempts)
    _hashing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(HASHES_AT_ONCE, "log-in"))
    _under_way: int = 0

    async def answer(self, attempt: Attempt) -> LogInResult:
        """Take an attempt; the event loop goes on meanwhile."""
        if self._under_way >= MOST_WAITING:
            return LogInResult(wait_s=BUSY_S)
        guesser = (tidy(attempt.name)[:MOST_CHARACTERS], attempt.address)
        wait_s = self.attempts.begin(guesser)
        if wait_s:
            return LogInResult(wait_s=wait_s)
        self._under_way += 1
        try:
            token = await asyncio.get_running_loop().run_in_executor(self._hashing, self._token_for, attempt)
        finally:
            self._under_way -= 1
        if token:
            self.attempts.forgive(guesser)
        return LogInResult(token)

    def log_out(self, token: str) -> None:
        """End a session, if it is one."""
        account = self.sessions.account_of(token)
        self.sessions.end(token)
        if account:
            self._note(account.name, "login.out", account.name)

    def _token_for(self, attempt: Attempt) -> str:
        account = self.accounts.find(attempt.name)
        if not is_right(attempt.password[:MOST_CHARACTERS], account.password if account else None) or account is None:
            who = account.name if account else "an unknown name"  # which may be a password, typed into the wrong field
            self._note(NOBODY, "login.fail", who, attempt.address)
            return ""
        self._note(account.name, "login.ok", account.name, attempt.address)
        if attempt.replaces:
            self.sessions.end(attempt.replaces)
        return self.sessions.begin(account)

    def _note(self, who: str, act: str, subject: str, address: str = "") -> None:
        with acting(who):
            audit(self.workspace, act, subject, **({"from": address} if address else {}))


def may_enter(accounts: AccountFile, account: Account | None, *, is_public: bool) -> bool:
    """Whether a request may go on: with a login always, without one only where nobody needs it.

    A server that other machines reach stays closed when its last account is removed.
    """
    return account is not None or not (is_public or accounts.has_any())


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _sessions_in(path: Path) -> dict[str, Session]:
    try:
        return dict(_SessionsContent.model_validate_json(path.read_bytes()).sessions)
    except (OSError, ValidationError):
        return {}
