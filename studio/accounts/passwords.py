"""Passwords as they are kept: scrypt with a salt of each one's own. What was typed is kept nowhere."""

import hashlib
import hmac
import secrets
import unicodedata

from pydantic import BaseModel, ConfigDict

from backend.errors import SpecError

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 500
# 32 MiB and some tenths of a second for each guess, one of the settings that OWASP recommends:
# https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
COST, BLOCK, LANES = 2**15, 8, 3
_SALT_BYTES, _KEY_BYTES = 16, 32


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


def _key(password: str, settings: PasswordHash) -> str:
    typed = unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        typed, salt=bytes.fromhex(settings.salt), n=settings.cost, r=settings.block, p=settings.lanes,
        maxmem=2 * 128 * settings.cost * settings.block, dklen=_KEY_BYTES,
    ).hex()  # fmt: skip


_NOBODY = PasswordHash(salt="00" * _SALT_BYTES, key="00" * _KEY_BYTES, cost=COST, block=BLOCK, lanes=LANES)
