"""How the command line speaks: tables and sentences for people, one JSON value for machines, errors on stderr."""

import contextlib
import errno
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from backend.errors import StudioError

P = ParamSpec("P")
R = TypeVar("R")

PROGRESS_EVERY_S = 5.0  # where nobody sees a bar grow
CANNOT_BE_DONE = 2  # the exit code for what was asked and cannot be done
RUN_FAILED = 1
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = FULL | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}  # by the disk; other errors of a system are bugs
JSON_OPTION = Annotated[bool, typer.Option("--json", help="Print one JSON value for machines.")]

console = Console(emoji=False)  # what a person wrote stays as it is: `:100:` is a line of theirs
errors = Console(stderr=True, emoji=False)


def explained(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a StudioError, or what the disk refuses, into message and hint on stderr and exit code 2.

    A closed pipe ends quietly.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except StudioError as error:
            raise _refusal(error.message, error.hint) from error
        except BrokenPipeError as error:
            raise typer.Exit(0) from error
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            where = f" `{error.filename}`" if error.filename else ""
            hint = "Free some space" if error.errno in FULL else "Look at the rights of that folder"
            raise _refusal(f"The disk refuses{where}: {error.strerror}", f"{hint}, then do it again") from error

    return run


@contextlib.contextmanager
def progress_line() -> Iterator[Callable[[float, str], None]]:
    """Show on stderr how far something is: a bar on a terminal, elsewhere a line every few seconds."""
    if errors.is_terminal:
        with Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), console=errors, transient=True
        ) as bar:
            task = bar.add_task("", total=1.0)
            yield lambda share, text: bar.update(task, completed=share, description=text)
        return
    next_at = time.monotonic() + PROGRESS_EVERY_S

    def report(share: float, text: str) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + PROGRESS_EVERY_S
            errors.print(f"{share:.0%} {text}", markup=False, highlight=False)

    yield report


def print_json(value: Any) -> None:
    """Print one JSON value on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=1, default=str) + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """Print a table, or the sentence `empty` where there are no rows."""
    if not rows:
        console.print(empty, markup=False)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    console.print(table)


def say(text: str) -> None:
    """Print one sentence as it is."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def warn(text: str) -> None:
    """Print one sentence on stderr."""
    errors.print(text, markup=False, highlight=False, soft_wrap=True)


def _refusal(message: str, hint: str) -> typer.Exit:
    errors.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)
    errors.print(f"[bold]hint:[/] {escape(hint)}", soft_wrap=True)
    return typer.Exit(CANNOT_BE_DONE)
