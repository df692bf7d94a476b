"""How the files of this folder try inputs, and what holds whatever the input was.

`STUDIO_FUZZ=5000` tries that many for each test, others each time; without it a test tries a few, always the same, so
that a change of the code is what a red test speaks of. A failure prints its input and how to run it again.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from backend.errors import StudioError

WISHED = int(os.environ.get("STUDIO_FUZZ", "0"))
ODD_TEXTS = (
    "", "..", "../x", "/etc/passwd", "a/../../b", "C:\\x", "\\\\host\\x", "-rf", "<image>", "<image>" * 3, "<|im_end|>",
    "\u202egnp.exe", "\ufeff", "e\u0301", "\U0001f4a9", "\x00", "a\x00b", "\r\n", "\x1b[31m", "=1+1", "${x}", "None",
    "true", "1e999", "-0", "0x", "2001-99-99", "!!int x", "&a [*a]", "{", "[", "%s%n", "' OR 1=1", "null", "图片.png",
)  # fmt: skip
Test = Callable[..., Any]


def fuzz(few: int) -> Callable[[Test], Test]:
    """Try `few` inputs, or as many as the environment wishes."""
    return settings(
        max_examples=WISHED or few, derandomize=not WISHED, deadline=None, database=None, print_blob=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def texts(most: int = 30, *, surrogates: bool = True) -> st.SearchStrategy[str]:
    """Short texts: odd ones, and any."""
    plain = st.characters() if surrogates else st.characters(exclude_categories=["Cs"])
    return st.one_of(st.sampled_from(ODD_TEXTS), st.text(plain, max_size=most))


def scalars(*, surrogates: bool = True) -> st.SearchStrategy[Any]:
    """What may stand where a value is expected."""
    numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(), st.sampled_from([0, 1, -1, 10**400, 1e308]))
    return st.one_of(st.none(), st.booleans(), numbers, texts(surrogates=surrogates))


def values(*, surrogates: bool = True) -> st.SearchStrategy[Any]:
    """Scalars, and lists and tables of them, a few levels deep."""
    keys = texts(12, surrogates=surrogates)
    return st.recursive(
        scalars(surrogates=surrogates),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=8,
    )


def damages() -> st.SearchStrategy[list[tuple[str, float, int]]]:
    """What to do to bytes, as often nothing as something: where, as a share of them, and with which byte."""
    kinds = st.sampled_from(["flip", "cut", "drop", "insert", "repeat"])
    share = st.floats(0, 1, exclude_max=True)
    done = st.lists(st.tuples(kinds, share, st.integers(0, 255)), min_size=1, max_size=4)
    return st.one_of(st.just([]), done)


def damaged(content: bytes, done: list[tuple[str, float, int]]) -> bytes:
    """Carry out what `damages` drew."""
    for kind, share, byte in done:
        place = int(share * len(content))
        head, tail = content[:place], content[place:]
        content = {
            "flip": head + bytes([byte]) + tail[1:],
            "cut": head if byte % 4 == 0 else content,
            "drop": head + tail[1 + byte % 8 :],
            "insert": head + bytes([byte]) * (1 + byte % 3) + tail,
            "repeat": content + content[place : place + 64],
        }[kind]
    return content


@contextlib.contextmanager
def said_plainly() -> Iterator[None]:
    """A refusal is a StudioError in words with a hint; anything else that is raised is a finding."""
    refused = None
    try:
        yield
    except StudioError as error:
        refused = error
    if refused is not None:
        assert refused.message.strip()
        assert refused.hint.strip()
        assert "Traceback" not in refused.message + refused.hint
        assert len(refused.message) < 20_000


@contextlib.contextmanager
def nothing_changes(folder: Path, but: Path) -> Iterator[None]:
    """No file of `folder` appears, goes or changes, except below `but`."""
    before = _snapshot(folder, but)
    yield
    assert _snapshot(folder, but) == before


def _snapshot(folder: Path, but: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in folder.rglob("*") if not path.is_relative_to(but)]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths}
