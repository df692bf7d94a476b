"""Corrected answers and rows left out: a new version, the old ones still there, nothing by halves."""

import shutil
import threading

import pytest
from dataset_lab import asked, folder_of, image_bytes, many, tree

from backend.datasets import rows_file
from backend.datasets.editing import Edits, exclusive_editor
from backend.datasets.store import DatasetStore, ImportOptions
from backend.errors import DatasetError, NotFoundError


@pytest.fixture
def shapes(store, tmp_path):
    return store.import_dataset(folder_of(tmp_path / "shapes", many(30)), ImportOptions()).manifest


def rows_of(store, name="shapes", **which):
    return list(store.rows(name, **which))


def facts(store, name="shapes"):
    return {path: content for path, content in tree(store.folder(name)).items() if path != ".lock"}


def test_an_edit_is_a_new_version_and_the_old_one_stays(store, shapes):
    before = rows_of(store)
    first, second = before[0], before[1]

    made = store.apply_edits("shapes", Edits({first.id: "Blue"}, frozenset({second.id})))

    after = rows_of(store)
    assert after == [first.with_gold("Blue"), *before[2:]]
    assert [row.split for row in after] == [row.split for row in before if row.id != second.id]
    assert store.get("shapes") == made
    assert (made.statistics.rows, made.statistics.most_frequent_answers[0]) == (29, ("Blue", 1))
    assert made.statistics.images == 29
    assert made.statistics.width_px == shapes.statistics.width_px
    assert made.statistics.image_bytes < shapes.statistics.image_bytes
    assert made.notices == (*shapes.notices, "1 answer corrected, 1 row left out")
    assert (made.created_at, made.upload_sha256, made.split) == (shapes.created_at, shapes.upload_sha256, shapes.split)
    assert rows_of(store, sha256=shapes.sha256) == before
    assert rows_of(store, sha256=shapes.sha256, split="validation") == [
        row for row in before if row.split == "validation"
    ]
    assert store.check("shapes") == []


@pytest.mark.parametrize("version", ["../../hidden/data", "../data", "..", "0" * 63, "A" * 64, "\0"])
def test_a_version_is_a_digest_and_never_a_path(store, shapes, workspace, version):
    store.apply_edits("shapes", Edits({rows_of(store)[0].id: "Blue"}))
    folder_of(workspace.data / "hidden", {"data.json": "[\n]"})

    with pytest.raises(DatasetError, match="has changed since version"):
        store.rows("shapes", sha256=version)


def test_the_plain_files_are_those_of_the_current_version(store, shapes):
    first = rows_of(store)[0]

    store.apply_edits("shapes", Edits({first.id: "Answer " + "0" * 500}))

    folder = store.folder("shapes")
    assert sorted(path.name for path in folder.iterdir()) == [
        ".lock", "data.index", "data.json", "dataset.json", "images", "problems.jsonl", "versions",
    ]  # fmt: skip
    assert "0" * 500 in (folder / "data.json").read_text()
    assert [row.id for row in store.page("shapes", start=7, count=3).rows] == [row.id for row in rows_of(store)[7:10]]
    assert store.page("shapes", search="0" * 500).total == 1
    assert store.page("shapes", split="validation", count=9).total == 3


def test_edits_follow_each_other_and_the_last_one_is_told(store, shapes):
    ids = [row.id for row in rows_of(store)]

    store.apply_edits("shapes", Edits({ids[0]: "One"}))
    store.apply_edits("shapes", Edits({ids[1]: "Two", ids[2]: "Three"}))
    made = store.apply_edits("shapes", Edits(excluded=frozenset(ids[3:5])))

    found = store.versions("shapes")
    assert [version.change for version in found] == [
        "2 rows left out", "2 answers corrected", "1 answer corrected", "Imported from shapes",
    ]  # fmt: skip
    assert [version.rows for version in found] == [28, 30, 30, 30]
    assert [version.is_current for version in found] == [True, False, False, False]
    assert [version.made_at for version in found] == sorted((v.made_at for v in found), reverse=True)
    assert made.notices == (*shapes.notices, "2 rows left out")
    assert [row.gold for row in rows_of(store)[:3]] == ["One", "Two", "Three"]


def test_what_changes_nothing_makes_no_version(store, shapes):
    first = rows_of(store)[0]

    for edits in (Edits(), Edits({first.id: first.gold})):
        assert store.apply_edits("shapes", edits) == shapes
    assert len(store.versions("shapes")) == 1


def test_an_answer_taken_back_is_the_first_version_again(store, shapes):
    first = rows_of(store)[0]
    store.apply_edits("shapes", Edits({first.id: "Blue"}))

    again = store.apply_edits("shapes", Edits({first.id: first.gold}))

    assert again.sha256 == shapes.sha256
    assert [(v.is_current, v.change) for v in store.versions("shapes")] == [
        (True, "1 answer corrected"), (False, "1 answer corrected"),
    ]  # fmt: skip
    assert store.check("shapes") == []


def test_every_edit_that_cannot_be_made_is_named_at_once(store, shapes):
    ids = [row.id for row in rows_of(store)]
    before = facts(store)
    answers = {
        ids[0]: "<|im_end|>", ids[1]: "see <image>", ids[2]: " ", ids[3]: "x", "gone": "y", ids[4]: "half \ud83d",
    }  # fmt: skip

    with pytest.raises(DatasetError) as caught:
        store.apply_edits("shapes", Edits(answers, frozenset({ids[3], "lost"})))

    said = caught.value.message
    assert f"row `{ids[0]}`: The text of turn 2 holds `<|im_end|>`" in said
    assert f"the new answer of row `{ids[1]}` holds `<image>`" in said
    assert f"row `{ids[2]}`: The answer in turn 2 is empty" in said
    assert f"row `{ids[3]}` is both corrected and left out" in said
    assert f"the new answer of row `{ids[4]}` holds half a character" in said
    assert "row `gone` is not there" in said
    assert "row `lost` is not there" in said
    assert caught.value.hint
    assert facts(store) == before


def test_m3_what_the_editor_did_not_see_is_not_overwritten(store, shapes):
    first, second, third, *_ = rows_of(store)
    seen = {row.id: row.gold for row in (first, second, third)}
    store.apply_edits("shapes", Edits({first.id: "Mine"}, frozenset({second.id})))
    before = facts(store)

    with pytest.raises(DatasetError) as caught:
        store.apply_edits("shapes", Edits({first.id: "Yours", third.id: "Yours"}), expected=seen)

    assert f"row `{first.id}` has another answer now, `Mine`" in caught.value.message
    assert f"row `{second.id}` is not there" in caught.value.message
    assert third.id not in caught.value.message
    assert facts(store) == before
    store.apply_edits("shapes", Edits({third.id: "Yours"}), expected={third.id: third.gold})


def test_a_dataset_without_rows_is_no_edit(store, shapes):
    with pytest.raises(DatasetError, match="no row would be left"):
        store.apply_edits("shapes", Edits(excluded=frozenset(row.id for row in rows_of(store))))


def test_only_the_last_answer_of_a_conversation_is_corrected(store, tmp_path):
    turns = [
        {"from": who, "value": text}
        for who, text in (("human", "<image>One?"), ("gpt", "1"), ("human", "Two?"), ("gpt", "2"))
    ]
    row = {"image": "a.png", "conversations": turns, "references": ["two"]}
    store.import_dataset(folder_of(tmp_path / "up", {"a.png": image_bytes(), "data.json": [row]}), ImportOptions())
    [before] = rows_of(store, "up")

    store.apply_edits("up", Edits({before.id: "zwei"}))

    [after] = rows_of(store, "up")
    assert [message.content for message in after.messages] == ["<image>One?", "1", "Two?", "zwei"]
    assert (after.id, after.images, after.references) == (before.id, before.images, ("two",))


def test_restoring_goes_back_and_forth(store, shapes):
    before = rows_of(store)
    made = store.apply_edits("shapes", Edits({before[0].id: "Blue"}))

    assert store.restore("shapes", shapes.sha256[:8]) == shapes
    assert rows_of(store) == before
    assert store.check("shapes") == []
    assert [v.is_current for v in store.versions("shapes")] == [False, True]
    assert store.restore("shapes", shapes.sha256) == shapes
    assert store.restore("shapes", made.sha256) == made
    assert rows_of(store)[0].gold == "Blue"


def test_a_version_that_is_not_there_is_named_with_those_that_are(store, shapes):
    for wish in ("", "0" * 64, shapes.sha256[:7], "../data"):
        with pytest.raises(NotFoundError) as caught:
            store.restore("shapes", wish)
        assert shapes.sha256[:12] in caught.value.hint
    with pytest.raises(DatasetError, match="has changed since version `000000000000`"):
        store.rows("shapes", sha256="0" * 64)
    with pytest.raises(DatasetError, match="has changed since"):
        store.rows("shapes", sha256="../../data")
    with pytest.raises(NotFoundError):
        store.versions("shape")


def test_a_check_names_versions_that_were_damaged(store, shapes):
    first = rows_of(store)[0]
    store.apply_edits("shapes", Edits({first.id: "Blue"}))
    kept = store.folder("shapes") / "versions" / f"{shapes.sha256}.json"
    kept.write_text("[]")

    assert [(p.code, p.severity) for p in store.check("shapes")] == [("VERSION_GONE", "warning")]
    with pytest.raises(DatasetError, match="is damaged"):
        store.restore("shapes", shapes.sha256)
    kept.unlink()
    assert [p.code for p in store.check("shapes")] == ["VERSION_GONE"]


def test_rows_that_were_changed_by_hand_are_not_taken_for_a_version(store, shapes):
    first = rows_of(store)[0]
    path = store.folder("shapes") / "data.json"
    path.write_text(path.read_text().replace("Answer 1", "Reply 1"))
    before = facts(store)

    with pytest.raises(DatasetError, match=r"`shapes/data\.json` is not what was imported"):
        store.apply_edits("shapes", Edits({first.id: "Blue"}))

    assert facts(store) == before


def test_a_hand_on_an_edited_dataset_is_not_overwritten(store, shapes):
    first, second, *_ = rows_of(store)
    store.apply_edits("shapes", Edits({first.id: "Blue"}))
    path = store.folder("shapes") / "data.json"
    changed = path.read_text().replace("Blue", "Grey")
    path.unlink()
    path.write_text(changed)

    with pytest.raises(DatasetError, match="is not what was imported"):
        store.apply_edits("shapes", Edits({second.id: "Red"}))
    assert [p.code for p in store.check("shapes")] == ["ROWS_CHANGED"]
    assert path.read_text() == changed
    path.unlink()
    store.apply_edits("shapes", Edits({second.id: "Red"}))
    assert [row.gold for row in rows_of(store)[:2]] == ["Blue", "Red"]


def test_of_two_editors_at_once_one_is_told_to_wait(store, shapes, workspace):
    first = rows_of(store)[0]

    with exclusive_editor(workspace, "shapes"):
        for act in (
            lambda: store.apply_edits("shapes", Edits({first.id: "Blue"})),
            lambda: store.restore("shapes", shapes.sha256),
        ):
            with pytest.raises(DatasetError, match="Somebody else is changing dataset `shapes`") as caught:
                act()
            assert "again" in caught.value.hint
    assert store.apply_edits("shapes", Edits({first.id: "Blue"})).change == "1 answer corrected"


def test_many_editors_at_once_lose_no_edit_that_was_accepted(store, shapes, workspace):
    ids = [row.id for row in rows_of(store)]
    accepted, refused = [], []

    def work(mine: list[str]) -> None:
        for each in mine:
            try:
                DatasetStore(workspace).apply_edits("shapes", Edits({each: f"New {each}"}))
                accepted.append(each)
            except DatasetError as error:
                refused.append(error.message)

    threads = [threading.Thread(target=work, args=(ids[start::3],)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert accepted
    assert all("Somebody else" in message for message in refused)
    assert {row.id for row in rows_of(store) if row.gold == f"New {row.id}"} == set(accepted)
    assert store.check("shapes") == []


def test_a_reader_under_way_goes_on_with_what_it_began(store, shapes):
    before = rows_of(store)
    waiting, under_way = store.rows("shapes"), store.rows("shapes")
    read = [next(under_way)]

    for number in range(3):
        store.apply_edits("shapes", Edits({before[5].id: f"New {number}"}))

    assert read + list(under_way) == before
    assert list(waiting) == before
    assert list(store.rows("shapes", sha256=shapes.sha256)) == before


def test_a_reader_that_is_overtaken_while_it_opens_reads_what_it_came_for(store, shapes, monkeypatch):
    before = rows_of(store)
    opened = rows_file._open_files

    def overtaken(rows, index):
        if rows.name == "data.json":
            monkeypatch.undo()
            store.apply_edits("shapes", Edits({row.id: "x" * 99 for row in before}))
        return opened(rows, index)

    for read in (lambda: list(store.rows("shapes")), lambda: list(store.page("shapes", count=99).rows)):
        monkeypatch.setattr(rows_file, "_open_files", overtaken)
        assert read() == before
        store.restore("shapes", shapes.sha256)
        shutil.rmtree(store.folder("shapes") / "versions")


def test_readers_beside_an_editor_always_read_one_whole_version(store, shapes):
    before = rows_of(store)
    allowed = [[f"Answer {n}" for n in range(30)]] + [[f"Set {k} {n}" for n in range(30)] for k in range(8)]
    seen, stop = [], threading.Event()

    def read() -> None:
        while not stop.is_set():
            manifest = store.get("shapes")
            by_sha = [row.gold for row in store.rows("shapes", sha256=manifest.sha256)]
            by_page = [row.gold for row in store.page("shapes", count=99).rows]
            seen.append((manifest.statistics.most_frequent_answers[0][0], by_sha, by_page))

    thread = threading.Thread(target=read)
    thread.start()
    for k in range(8):
        store.apply_edits("shapes", Edits({row.id: f"Set {k} {n}" for n, row in enumerate(before)}))
    stop.set()
    thread.join()

    assert seen
    assert all(by_sha in allowed and by_page in allowed for _, by_sha, by_page in seen)
    assert all(first == by_sha[0] for first, by_sha, _ in seen)


def test_a_deleted_dataset_takes_its_versions_with_it(store, shapes, workspace):
    store.apply_edits("shapes", Edits({rows_of(store)[0].id: "Blue"}))

    store.delete("shapes")

    assert not (workspace.data / "shapes").exists()
    assert list(workspace.staging.iterdir()) == []


def test_a_dataset_deleted_under_its_editor_stays_deleted(store, shapes, workspace, tmp_path):
    def slowly(rows):
        yield from rows
        store.delete("shapes")
        store.import_dataset(folder_of(tmp_path / "b", {"data.json": [asked(None, "Q")]}), ImportOptions(name="shapes"))

    def change():
        with exclusive_editor(workspace, "shapes") as editor:
            rows = [row.with_gold("Blue") for row in editor.rows()]
            editor.rewrite(slowly(rows), "Everything is blue")

    with pytest.raises(DatasetError, match="was deleted meanwhile"):
        change()

    assert [row.gold for row in rows_of(store)] == ["Red"]
    assert store.check("shapes") == []


def test_versions_are_kept_on_a_disk_without_links(store, shapes, monkeypatch):
    def refuse(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("backend.datasets.staging.os.link", refuse)
    ids = [row.id for row in rows_of(store)]

    store.apply_edits("shapes", Edits({ids[0]: "One"}))
    store.apply_edits("shapes", Edits({ids[1]: "Two"}))

    assert [row.gold for row in rows_of(store)[:2]] == ["One", "Two"]
    assert store.check("shapes") == []
    assert store.restore("shapes", shapes.sha256) == shapes
    assert store.check("shapes") == []


def test_an_edit_of_a_dataset_whose_image_is_gone_says_which(store, shapes):
    row = rows_of(store)[0]
    (store.folder("shapes") / row.images[0]).unlink()

    with pytest.raises(DatasetError, match=f"of row `{row.id}` cannot be read"):
        store.apply_edits("shapes", Edits({row.id: "Blue"}))
