"""The index: its tables, its pragmas in the right order, write transactions that never fail half-way, its migrations.

A deferred transaction that reads and then writes fails at once with SQLITE_BUSY_SNAPSHOT when another process has
committed in between, whatever the timeout. So writers begin IMMEDIATE, and readers, who may not write, begin plainly.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from backend.errors import StudioError

BUSY_TIMEOUT_MS = 15_000
FULL_BYTES = 256 * 1024  # with less than that an index can be neither made nor opened
MIGRATIONS = Path(__file__).parent / "migrations"
_REFUSED = {  # how SQLite says that nothing is wrong with what was asked, and what then helps
    "disk is full": "Free some space, then do it again",
    "disk I/O error": "Free some space, then do it again",
    "database is locked": "Somebody else is writing to it and takes long; do it again in a minute",
}


@dataclass(frozen=True, slots=True)
class Database:
    """Two ways into one file. Short transactions only: what is read is made plain before the connection goes back."""

    path: Path
    writer: Engine
    reader: Engine

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that holds the write lock from its start; committed at the end, rolled back on an error.

        Raises:
            StudioError: the disk refuses, or another process does not let go of the lock; the index is as it was.
        """
        try:
            with self.writer.begin() as connection:
                yield connection
        except OperationalError as error:
            hints = [hint for sign, hint in _REFUSED.items() if sign in str(error.orig)]
            if not hints:
                raise
            raise StudioError(f"The index cannot be written: {error.orig}", hint=hints[0]) from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the file, which may not write."""
        with self.reader.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every pooled connection."""
        self.writer.dispose()
        self.reader.dispose()


def open_database(path: Path) -> Database:
    """Open or make the index at `path`, and bring its schema up to this version.

    Safe for several processes at once: one of them makes the tables, the others wait for it.

    Raises:
        StudioError: a newer studio has changed the schema, the file is not a database, or the disk refuses.
    """
    writer = _engine(path, begin="BEGIN IMMEDIATE", query_only=False)
    try:
        _switch_to_wal(path)
        _upgrade(writer, path)
    except (sqlite3.Error, SQLAlchemyError, OSError) as error:
        writer.dispose()
        raise StudioError(
            f"`{path}` cannot be opened: {_why(error, path)}",
            hint="Check the free space and the rights of the folder; the index may be deleted, runs are found again",
        ) from error
    except StudioError:
        writer.dispose()
        raise
    return Database(path, writer, _engine(path, begin="BEGIN", query_only=True))


def _why(error: Exception, path: Path) -> str:
    """What stands in the way, without the statement that met it; SQLite has several words for a full disk."""
    sqlite_message = str(error.orig if isinstance(error, DBAPIError) else error)
    is_full = path.parent.is_dir() and shutil.disk_usage(path.parent).free < FULL_BYTES
    return f"the disk is full ({sqlite_message})" if is_full else sqlite_message


def _engine(path: Path, *, begin: str, query_only: bool) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)))

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would otherwise begin late, and deferred
        connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA query_only={int(query_only)}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _switch_to_wal(path: Path) -> None:
    """Switch once and for all. Where someone else is just opening the file, SQLite refuses at once; so we wait."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_MS / 1000)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def _upgrade(engine: Engine, path: Path) -> None:
    """Run the missing revisions in one transaction: a failing one leaves the old schema; others wait for its end."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)
    with engine.begin() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current == script.get_current_head():
            return
        if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
            raise StudioError(
                f"`{path}` was written by a newer studio (schema `{current}`)",
                hint="Update the studio, or move the file away: runs and curves are found again from their folders",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
