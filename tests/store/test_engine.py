"""S1 to S4, S11: many processes on one file."""

import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from store_lab import RUN, add_run, curve, write_losses

from backend.errors import StudioError
from backend.settings import ROOT, Workspace
from backend.spec.run import RunSpec
from backend.store import database
from backend.store.database import MIGRATIONS, open_database
from backend.store.runs import RunStore

OPEN_AND_ADD = """
import sys
from pathlib import Path
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.store.runs import RunStore
store = RunStore(Workspace(Path(sys.argv[1])))
store.add(sys.argv[2], RunSpec(), 1.0)
"""
RENAME_FOR_EVER = """
import sys
from pathlib import Path
from sqlalchemy import text
from backend.settings import Workspace
from backend.store.runs import RunStore
store = RunStore(Workspace(Path(sys.argv[1])))
number = 0
while True:
    number += 1
    with store._database.write() as connection:
        connection.execute(text("UPDATE runs SET name = :name"), {"name": str(number)})
        connection.execute(text("UPDATE runs SET notes = :notes"), {"notes": str(number)})
    print(number, flush=True)
"""


BROKEN = """
from alembic import op
revision, down_revision, branch_labels, depends_on = "9000", "{newest}", None, None
def upgrade():
    op.drop_table("metrics")
    op.execute("UPDATE runs SET name = 'lost'")
    op.execute("DELETE FROM nowhere")
"""
SCHEMAS = sorted((Path(__file__).parent / "schemas").glob("*.sql"))


def test_s1_readers_and_writers_never_meet_a_locked_database(workspace: Workspace) -> None:
    stores = [RunStore(workspace) for _ in range(4)]
    folders = [add_run(stores[0], f"run-{number}") for number in range(3)]
    deadline = time.monotonic() + 3
    errors: list[Exception] = []
    commits_s: list[float] = []

    def keep(act) -> None:
        try:
            while time.monotonic() < deadline:
                act()
        except Exception as error:  # noqa: BLE001 - any error at all fails the test below
            errors.append(error)

    def write(number: int) -> None:
        write_losses(folders[number].events, [1.0] * 20)
        begun = time.monotonic()
        stores[number].ingest(folders[number])
        commits_s.append(time.monotonic() - begun)

    acts = [lambda number=number: write(number) for number in range(3)]
    acts += [lambda: stores[3].curves(["run-0"], "loss"), lambda: stores[3].set_notes("run-1", str(time.time()))]
    threads = [threading.Thread(target=keep, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert sorted(commits_s)[int(len(commits_s) * 0.95)] < 12  # who is not woken waits out 15 s
    for store in stores:
        store.close()


def test_s2_every_write_transaction_begins_immediate(store: RunStore) -> None:
    said: list[str] = []
    event.listen(store._database.writer, "before_cursor_execute", lambda *call: said.append(call[2]))

    folder = add_run(store)
    write_losses(folder.events, [1.0])
    store.ingest(folder)
    store.transition(RUN, "starting", ("queued",))
    store.claim_next(("cpu:0",), lambda taken: 1)
    store.remove(RUN)

    begins = [statement for statement in said if statement.startswith("BEGIN")]
    assert len(begins) == 5
    assert set(begins) == {"BEGIN IMMEDIATE"}


def test_s2_reading_before_writing_survives_a_foreign_commit(workspace: Workspace, store: RunStore) -> None:
    add_run(store)
    other = sqlite3.connect(workspace.database, timeout=0.1)

    with store._database.write() as connection:
        connection.execute(text("SELECT * FROM runs")).all()
        with pytest.raises(sqlite3.OperationalError, match="locked"):  # it waits for us rather than we fail for it
            other.execute("UPDATE runs SET notes = 'x'")
        connection.execute(text("UPDATE runs SET notes = 'ours'"))
    other.close()

    assert store.get(RUN).notes == "ours"


def test_s3_every_connection_waits_and_minds_foreign_keys(store: RunStore) -> None:
    for each in (store._database.writer, store._database.reader):
        pooled = [each.raw_connection() for _ in range(3)]
        for connection in pooled:
            names = ("busy_timeout", "foreign_keys", "journal_mode")
            pragmas = [connection.cursor().execute(f"PRAGMA {name}").fetchone()[0] for name in names]
            assert pragmas == [15_000, 1, "wal"]
            connection.close()


def test_an_index_that_somebody_keeps_locked_is_said_in_words(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 100)
    with closing(RunStore(workspace)) as store, closing(sqlite3.connect(workspace.database)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StudioError, match=r"database is locked\nhint: Somebody else is writing"):
            store.add(RUN, RunSpec(), 1.0)

        other.rollback()
        store.add(RUN, RunSpec(), 1.0)
        assert store.get(RUN).state == "queued"


def test_a_statement_that_is_wrong_keeps_its_own_error(store: RunStore) -> None:
    with pytest.raises(OperationalError, match="no such table"), store._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM nowhere")


def test_readers_cannot_write(store: RunStore) -> None:
    from sqlalchemy.exc import OperationalError

    with pytest.raises(OperationalError, match="readonly"), store._database.read() as connection:
        connection.execute(text("DELETE FROM runs"))


def test_s3_eight_processes_may_make_the_index_at_once(workspace: Workspace) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_AND_ADD, str(workspace.root), f"run-{number}"], cwd=ROOT)
        for number in range(8)
    ]

    assert [process.wait(60) for process in processes] == [0] * 8
    store = RunStore(workspace)
    assert len(store.views()) == 8
    store.close()


def test_s4_a_killed_writer_leaves_a_sound_index_with_all_it_had_promised(
    workspace: Workspace, store: RunStore
) -> None:
    store.add("a", RunSpec(), 1.0)
    chance = random.Random(7)

    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", RENAME_FOR_EVER, str(workspace.root)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert writer.stdout is not None
        promised = int(writer.stdout.readline())
        time.sleep(chance.random() * 0.1)
        writer.kill()
        promised = max([promised, *(int(line) for line in writer.stdout.read().split())])
        writer.wait()
        writer.stdout.close()
        run = store.get("a")
        assert int(run.name) >= promised
        assert run.notes == run.name  # both of a transaction, or neither
        with store._database.read() as connection:
            assert connection.execute(text("PRAGMA integrity_check")).scalar() == "ok"


def test_s11_an_index_of_a_newer_studio_is_refused(workspace: Workspace, store: RunStore) -> None:
    with store._database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(StudioError, match="newer studio \\(schema `9999`\\)"):
        RunStore(workspace)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
def test_s11_an_index_of_every_released_schema_is_brought_up_with_its_rows(schema: Path, workspace: Workspace) -> None:
    workspace.output.mkdir(parents=True)
    with closing(sqlite3.connect(workspace.database)) as old:
        old.executescript(schema.read_text())

    with closing(RunStore(workspace)) as store:
        run = store.get("20260102-030405-old")
        assert (run.name, run.state, run.notes, run.step) == ("An old run", "running", "what I thought", 40)
        assert curve(store, "20260102-030405-old") == [(1, 2.5), (2, None), (40, 0.25)]
        assert [note.values["text"] for note in store.notes_of(run.id)] == ["1,234 parameters learn"]
        assert store.holders() == {"cuda:1": run.id}
        assert store.claim_next(("cuda:1",), lambda taken: 1) is None


def test_s11_every_schema_but_the_newest_is_kept_as_it_was_released() -> None:
    revisions = sorted(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))
    assert [path.stem for path in SCHEMAS] == revisions[:-1]


def test_s11_a_migration_that_fails_leaves_the_index_as_it_was(
    workspace: Workspace, tmp_path: Path, monkeypatch
) -> None:
    with closing(RunStore(workspace)) as store:
        store.add(RUN, RunSpec(name="kept"), 1.0)
        schema = store._database.writer.raw_connection()
        before = list(schema.driver_connection.iterdump())
        schema.close()
    newest = max(path.name[:4] for path in (MIGRATIONS / "versions").glob("0*.py"))
    with monkeypatch.context() as patched:
        shutil.copytree(MIGRATIONS, tmp_path / "migrations")
        (tmp_path / "migrations" / "versions" / "9000_broken.py").write_text(BROKEN.format(newest=newest))
        patched.setattr(database, "MIGRATIONS", tmp_path / "migrations")
        with pytest.raises(StudioError, match="no such table: nowhere"):
            RunStore(workspace)

    with closing(sqlite3.connect(workspace.database)) as left:
        assert list(left.iterdump()) == before
    with closing(RunStore(workspace)) as again:
        assert again.get(RUN).name == "kept"


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "studio.db"
    path.write_text("not a database at all, but long enough to look at" * 20)

    with pytest.raises(StudioError, match=r"studio\.db"):
        open_database(path)


def test_the_migrations_make_the_tables_that_the_code_reads(store: RunStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from backend.store.tables import metadata

    with store._database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_folder_name_with_percent_and_question_mark_holds_an_index(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "50%(x)s ? #1")

    store = RunStore(workspace)
    store.close()

    assert workspace.database.is_file()
