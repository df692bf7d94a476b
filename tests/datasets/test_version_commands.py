"""`studio dataset edit|versions|restore|copy`: what they do, say, and refuse."""

import json

import pytest
from dataset_lab import folder_of, many
from typer.testing import CliRunner

from backend.datasets.store import ImportOptions
from studio.cli import context
from studio.cli.main import app


@pytest.fixture
def command(store, workspace, tmp_path, monkeypatch):
    monkeypatch.setenv("STUDIO_WORKSPACE", str(workspace.root))
    opened = (context.workspace, context.dataset_store)
    for door in opened:
        door.cache_clear()
    store.import_dataset(folder_of(tmp_path / "shapes", many(6)), ImportOptions())
    yield lambda *words: CliRunner().invoke(app, ["dataset", *words])
    for door in opened:
        door.cache_clear()


def told(done):
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_an_edit_and_the_way_back(store, command):
    first, second, *_ = [row.id for row in store.rows("shapes")]
    imported = store.get("shapes")

    edited = told(command("edit", "shapes", "--answer", f"{first}=a=b", "--exclude", second, "--json"))
    listed = told(command("versions", "shapes", "--json"))
    restored = told(command("restore", "shapes", imported.sha256[:12], "--json"))

    assert edited["change"] == "1 answer corrected, 1 row left out"
    assert edited["is_changed"] is True
    assert edited["folder"] == str(store.folder("shapes"))
    assert [(v["rows"], v["is_current"]) for v in listed] == [(5, True), (6, False)]
    assert restored["sha256"] == imported.sha256
    assert next(store.rows("shapes", sha256=edited["sha256"])).gold == "a=b"


@pytest.mark.parametrize("words", [("--validation", "--validation-share"), ("--heldout", "--heldout-share")])
def test_files_of_parts_are_imported_under_present_and_earlier_names(store, command, tmp_path, words):
    files = {name: folder_of(tmp_path / name, many(count)) for name, count in (("a", 10), ("b", 2), ("c", 3))}

    given = command("import", str(files["a"]), words[0], str(files["b"]), "--test", str(files["c"]), "--name", "given")
    seeded = command("import", str(files["a"]), words[1], "0.4", "--name", "seeded")

    assert given.stdout.startswith("a imported as given: 10 training rows, 2 validation rows, 3 test rows\n")
    assert seeded.stdout == "a imported as seeded: 6 training rows, 4 validation rows\n"


def test_a_person_is_told_in_a_sentence(store, command):
    first = next(iter(store.rows("shapes"))).id

    done = command("edit", "shapes", "--answer", f"{first}=Blue")
    again = command("edit", "shapes", "--answer", f"{first}=Blue")
    listed = command("versions", "shapes")
    checked = command("check", "shapes")

    version = store.get("shapes").sha256[:12]
    train = store.get("shapes").statistics.train_rows
    assert done.stdout == (
        f"shapes is now version {version}: 1 answer corrected; {train} training rows, {6 - train} validation rows\n"
    )
    assert again.stdout == "shapes is as it was: nothing to change.\n"
    assert version in listed.stdout
    assert "Imported from shapes" in listed.stdout
    assert checked.stdout == "shapes is whole.\n"


def test_rows_are_copied_into_a_set(store, command):
    first, second, *_ = [row.id for row in store.rows("shapes")]

    made = told(command("copy", "shapes", "--row", first, "--to", "hard", "--json"))
    more = told(command("copy", "shapes", "--row", first, "--row", second, "--to", "hard", "--json"))
    same = command("copy", "shapes", "--row", first, "--to", "hard")

    assert (made["name"], made["statistics"]["rows"], made["is_changed"]) == ("hard", 1, True)
    assert more["statistics"]["rows"] == 2
    assert same.stdout == "hard is as it was: nothing to change.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["edit", "shapes"], "nothing to change"),
        (["edit", "shapes", "--answer", "Blue"], "`Blue` names no row"),
        (["edit", "shapes", "--answer", "a=1", "--answer", "a=2"], "second answer"),
        (["edit", "shapes", "--answer", "gone=Blue", "--exclude", "lost"], "row `gone` is not there; row `lost`"),
        (["edit", "shape", "--exclude", "a"], "No dataset is called `shape`"),
        (["versions", "shape"], "No dataset is called `shape`"),
        (["restore", "shapes", "00000000"], "no version `00000000`"),
        (["copy", "shapes", "--to", "hard"], "No row is chosen"),
        (["copy", "shapes", "--row", "gone", "--to", "hard"], "has no row `gone`"),
        (["copy", "shapes", "--row", "gone", "--to", "../hard"], "cannot be a dataset's name"),
    ],
)
def test_a_wrong_door_says_why_and_what_to_do(store, command, words, said):
    before = store.get("shapes")

    done = command(*words)

    assert done.exit_code == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert store.get("shapes") == before
    assert store.names() == ["shapes"]
