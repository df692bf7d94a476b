"""The accounts of a workspace, with their passwords: a file beside the index; deleting the index opens no door."""

import contextlib
import fcntl
import hashlib
import hmac
import re
import secrets
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.audit import audit
from backend.errors import NotFoundError, SpecError, StudioError
from backend.jsonl import write_atomically
from backend.settings import Workspace

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 500
# 32 MiB and some tenths of a second for each guess, one of the settings that OWASP recommends:
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
COST, BLOCK, LANES = 2**15, 8, 3
_SALT_BYTES, _KEY_BYTES = 16, 32
PRIVATE = 0o600  # nobody else on the machine reads it
_NAME = re.compile(r"[^\W_][\w.@+-]{0,39}")
_Stamp = tuple[int, int, int]  # inode, time of change, size


class PasswordHash(BaseModel):
    """What is kept of a password, with the settings it was made by."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    salt: str
    key: str
    cost: int
    block: int
    lanes: int


def hash_of(password: str) -> PasswordHash:
    """What to keep of a new password. Slow on purpose."""
    settings = PasswordHash(salt=secrets.token_hex(_SALT_BYTES), key="", cost=COST, block=BLOCK, lanes=LANES)
    return settings.model_copy(update={"key": _key(password, settings)})


def is_right(password: str, kept: PasswordHash | None) -> bool:
    """Tell whether `password` is the kept one; without one it takes as long to say no."""
    against = kept or _NOBODY
    is_same = hmac.compare_digest(_key(password, against), against.key)
    return is_same and kept is not None


def refuse_weak(password: str) -> None:
    """Raise SpecError for a password that is too short, too long or one character over and over."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise SpecError(
            f"The password has {len(password)} characters, not {LEAST_CHARACTERS} to {MOST_CHARACTERS}",
            hint="Four words that do not belong together make a good one; --make invents one",
        )
    if len(set(password)) < 4:
        raise SpecError("The password is made of fewer than 4 different characters", hint="Take one that varies more")


def invented() -> str:
    """A new password of 120 random bits."""
    return secrets.token_urlsafe(15)


_NOBODY = PasswordHash(salt="00" * _SALT_BYTES, key="00" * _KEY_BYTES, cost=COST, block=BLOCK, lanes=LANES)


class Account(BaseModel):
    """One person's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    id: str  # another one with each password: sessions that began with an older one are over
    password: PasswordHash
    made_at: float


class _AccountsContent(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: tuple[Account, ...]


class AccountFile:
    """Reads and changes the accounts. Safe to use from any thread."""

    def __init__(self, workspace: Workspace) -> None:
        """Read nothing yet."""
        self._workspace = workspace
        self._path = workspace.accounts
        self._read: tuple[_Stamp | None, tuple[Account, ...] | None] = (None, ())

    def all(self) -> tuple[Account, ...]:
        """Every account, by name. Costs a look at the file's time of change. Raises StudioError for a damaged file."""
        stamp = _stamp(self._path)
        if stamp != self._read[0]:
            self._read = (stamp, _accounts_in(self._path))
        found = self._read[1]
        if found is None:
            raise StudioError(
                f"The accounts in `{self._path}` cannot be read",
                hint="Bring the file back from a copy, or delete it and add the accounts again",
            )
        return found

    def has_any(self) -> bool:
        """Whether there is an account, or a file that may have held some."""
        try:
            return bool(self.all())
        except StudioError:
            return True

    def find(self, name: str) -> Account | None:
        """The account of that name, however its letters are written; None where there is none or none can be read."""
        return self._first(lambda each: each.name == tidy(name))

    def with_id(self, account_id: str) -> Account | None:
        """The account of that id; None where it is gone or has another password since."""
        return self._first(lambda each: each.id == account_id)

    def add(self, name: str, password: str) -> Account:
        """Make an account. Raises SpecError for a bad name, a taken one or a weak password."""
        refuse_bad_name(name)
        refuse_weak(password)
        made = _account(name, password)
        with self._sole_writer():
            if self.find(name):
                raise SpecError(
                    f"There is an account `{made.name}` already", hint=f"`studio user password {made.name}` changes it"
                )
            self._write([*self.all(), made])
        audit(self._workspace, "user.add", made.name)
        return made

    def set_password(self, name: str, password: str) -> Account:
        """Give an account another password; who is logged in with the old one is so no more.

        Raises:
            NotFoundError: there is no such account.
            SpecError: the password is weak.
        """
        refuse_weak(password)
        made = _account(name, password)
        with self._sole_writer():
            known = self._known(name)
            self._write([made.model_copy(update={"made_at": known.made_at}), *self._but(known)])
        audit(self._workspace, "user.password", made.name)
        return made

    def remove(self, name: str) -> None:
        """Remove an account; its sessions are over at once. Raises NotFoundError."""
        with self._sole_writer():
            known = self._known(name)
            self._write(self._but(known))
        audit(self._workspace, "user.remove", known.name)

    def refuse_unknown(self, name: str) -> None:
        """Raise NotFoundError where there is no account of that name."""
        self._known(name)

    def _first(self, fits: Callable[[Account], bool]) -> Account | None:
        try:
            return next(filter(fits, self.all()), None)
        except StudioError:
            return None

    def _known(self, name: str) -> Account:
        names = [each.name for each in self.all()]
        found = self.find(name)
        if found is None:
            there = ", ".join(f"`{each}`" for each in names)
            raise NotFoundError(
                f"There is no account `{name[:80]}`", hint=f"There are: {there}" if names else "`studio user add NAME`"
            )
        return found

    def _but(self, gone: Account) -> list[Account]:
        return [each for each in self.all() if each != gone]

    def _write(self, accounts: Sequence[Account]) -> None:
        content = _AccountsContent(accounts=tuple(sorted(accounts, key=lambda each: each.name)))
        write_atomically(self._path, content.model_dump_json(indent=1).encode() + b"\n", PRIVATE)

    @contextlib.contextmanager
    def _sole_writer(self) -> Iterator[None]:
        """Of two commands at once, let the second wait. Raises StudioError where the disk refuses."""
        try:
            with self._path.with_name(f".{self._path.name}.lock").open("ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise StudioError(
                f"`{self._path}` cannot be written: {error.strerror}", hint="The accounts are as they were"
            ) from error


def tidy(name: str) -> str:
    """A name as accounts are found by it: `Ann`, ` ann` and a full-width `ａｎｎ` are one."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def refuse_bad_name(name: str) -> None:
    """Raise SpecError for what cannot be an account's name."""
    if not _NAME.fullmatch(tidy(name)):
        raise SpecError(
            f"`{name[:80]}` cannot be an account's name",
            hint="Up to 40 letters and digits, with `.`, `_`, `-`, `@` and `+` between them",
        )


def _key(password: str, settings: PasswordHash) -> str:
    typed = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        typed, salt=bytes.fromhex(settings.salt), n=settings.cost, r=settings.block, p=settings.lanes,
        maxmem=2 * 128 * settings.cost * settings.block, dklen=_KEY_BYTES,
    ).hex()  # fmt: skip


def _account(name: str, password: str) -> Account:
    return Account(name=tidy(name), id=secrets.token_hex(16), password=hash_of(password), made_at=time.time())


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError:  # there, and not to be looked at: no stamp is the same as this one
        return (-1, -1, -1)
    return found.st_ino, found.st_mtime_ns, found.st_size


def _accounts_in(path: Path) -> tuple[Account, ...] | None:
    """What a file holds; nothing where there is none, None where it cannot be read."""
    try:
        return _AccountsContent.model_validate_json(path.read_bytes()).accounts
    except FileNotFoundError:
        return ()
    except (OSError, ValidationError):
        return None
