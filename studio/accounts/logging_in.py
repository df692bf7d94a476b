"""Logging in: slow to guess, as long for a name that nobody has, and never more than two hashes at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from backend.audit import acting, audit
from backend.settings import Workspace
from studio.accounts.account_file import Account, AccountFile, tidy
from studio.accounts.attempts import Attempts
from studio.accounts.passwords import MOST_CHARACTERS, is_right
from studio.accounts.sessions import Sessions

NOBODY = "the page"  # who acts where there are no accounts, and who is not logged in
HASHES_AT_ONCE = 2  # each takes 32 MiB and a core
MOST_WAITING = 8
BUSY_S = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
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

    async def answer(self, attempt: Attempt) -> Answer:
        """Take an attempt; the event loop goes on meanwhile."""
        if self._under_way >= MOST_WAITING:
            return Answer(wait_s=BUSY_S)
        guesser = (tidy(attempt.name)[:MOST_CHARACTERS], attempt.address)
        wait_s = self.attempts.begin(guesser)
        if wait_s:
            return Answer(wait_s=wait_s)
        self._under_way += 1
        try:
            token = await asyncio.get_running_loop().run_in_executor(self._hashing, self._token_for, attempt)
        finally:
            self._under_way -= 1
        if token:
            self.attempts.forgive(guesser)
        return Answer(token)

    def log_out(self, token: str) -> None:
        """End a session, if it is one."""
        account = self.sessions.account_of(token)
        self.sessions.end(token)
        if account:
            self._note(account.name, "login.out", account.name)

    def _token_for(self, attempt: Attempt) -> str:
        account = self.accounts.find(attempt.name)
        if not is_right(attempt.password[:MOST_CHARACTERS], account.password if account else None) or account is None:
            said = account.name if account else "an unknown name"  # which may be a password, typed into the wrong field
            self._note(NOBODY, "login.fail", said, attempt.address)
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
