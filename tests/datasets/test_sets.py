"""Rows copied into a set: once each, with their images, on the side of the split where they were."""

import pytest
from dataset_lab import asked, folder_of, many

from backend.datasets.editing import Edits, exclusive_editor
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions
from backend.errors import DatasetError, NotFoundError


@pytest.fixture
def shapes(store, tmp_path):
    """The rows of a dataset: 27 for training, 3 held out."""
    store.import_dataset(folder_of(tmp_path / "shapes", many(30)), ImportOptions())
    return list(store.rows("shapes"))


def side(rows, split):
    return [row for row in rows if row.split == split]


def said(store, name):
    return [(row.id, row.split, row.gold) for row in store.rows(name)]


def test_a_set_is_made_of_copies_with_their_images(store, shapes):
    chosen = [*side(shapes, "validation")[:1], *side(shapes, "train")[:2]]

    made = store.copy_rows("shapes", [row.id for row in chosen], "hard")

    copies = list(store.rows("hard"))
    assert {(row.id, row.split, row.images, row.messages) for row in copies} == {
        (f"shapes-{row.id}", row.split, row.images, row.messages) for row in chosen
    }
    assert copies[0].source == f"dataset shapes, row {copies[0].id.removeprefix('shapes-')}"
    assert (made.statistics.train_rows, made.statistics.validation_rows, made.statistics.images) == (2, 1, 3)
    assert (made.source, made.layout, made.split.kind) == ("rows of shapes", "llava", "given")
    assert made.notices == ("Made of 3 rows of `shapes`",)
    assert store.get("hard") == made
    assert store.check("hard") == []
    assert store.problems("hard") == []


def test_copies_outlive_what_they_were_copied_from(store, shapes):
    store.copy_rows("shapes", [shapes[0].id], "hard")

    store.delete("shapes")

    assert store.check("hard") == []


def test_a_row_that_is_there_is_not_added_again(store, shapes):
    first, second, third, *_ = [row.id for row in side(shapes, "train")]
    before = store.copy_rows("shapes", [first, second], "hard")

    assert store.copy_rows("shapes", [second, first, first], "hard") == before
    made = store.copy_rows("shapes", [second, third], "hard")

    assert [row.id for row in store.rows("hard")] == [f"shapes-{each}" for each in (first, second, third)]
    assert made.change == "1 row of `shapes` added"
    assert [version.rows for version in store.versions("hard")] == [3, 2]
    assert store.check("hard") == []


def test_a_row_from_elsewhere_that_says_and_shows_the_same_is_there(store, shapes, tmp_path):
    other = folder_of(tmp_path / "other", many(8))
    store.import_dataset(other, ImportOptions(name="other", validation_share=0))
    store.copy_rows("shapes", [side(shapes, "train")[0].id], "hard")
    again = next(row for row in store.rows("other") if row.id == side(shapes, "train")[0].id)

    store.copy_rows("other", [again.id, list(store.rows("other"))[7].id], "hard")

    assert [row.source.partition(",")[0] for row in store.rows("hard")] == ["dataset shapes", "dataset other"]


def test_a_copy_follows_the_correction_of_its_row(store, shapes):
    first, second = side(shapes, "train")[:2]
    store.copy_rows("shapes", [first.id, second.id], "hard")
    store.apply_edits("shapes", Edits({first.id: "Corrected"}))

    made = store.copy_rows("shapes", [first.id], "hard")

    assert said(store, "hard") == [
        (f"shapes-{first.id}", "train", "Corrected"), (f"shapes-{second.id}", "train", second.gold),
    ]  # fmt: skip
    assert made.change == "1 row of `shapes` taken again"


def test_what_was_held_out_is_never_for_training_in_a_set(store, shapes):
    heldout = [row.id for row in side(shapes, "validation")]

    store.copy_rows("shapes", heldout, "hard")
    store.apply_edits("shapes", Edits({heldout[0]: "Corrected"}))
    made = store.copy_rows("shapes", [row.id for row in shapes], "hard")

    assert (made.statistics.train_rows, made.statistics.validation_rows) == (27, 3)
    assert {row.id for row in store.rows("hard", "validation")} == {f"shapes-{each}" for each in heldout}


def test_a_set_says_where_it_trains_on_what_is_held_out_elsewhere(store, shapes, tmp_path):
    store.import_dataset(tmp_path / "shapes", ImportOptions(name="all", validation_share=0))
    store.copy_rows("all", [row.id for row in store.rows("all")][:29], "hard")

    made = store.copy_rows("shapes", [row.id for row in shapes], "hard")

    assert made.statistics.rows == 30
    assert made.notices[-1].endswith("some held-out ones are among the training rows already")


def test_ids_stay_unique_where_names_run_into_each_other(store, tmp_path):
    for name, answer in (("a", "One"), ("a-b", "Two")):
        source = folder_of(tmp_path / name, {"data.json": [asked(None, "Q", answer)]})
        store.import_dataset(source, ImportOptions(name=name))
    store.put_rows("a", [row.model_copy(update={"id": "b-x"}) for row in store.rows("a")], {}, store_making())
    store.put_rows("a-b", [row.model_copy(update={"id": "x"}) for row in store.rows("a-b")], {}, store_making())

    store.copy_rows("a", ["b-x"], "hard")
    store.copy_rows("a-b", ["x"], "hard")

    assert said(store, "hard") == [("a-b-x", "train", "One"), ("a-b-x-2", "train", "Two")]
    assert store.copy_rows("a-b", ["x"], "hard").statistics.rows == 2


def store_making():
    from backend.datasets.subsets import Provenance

    return Provenance("a test", "messages", "Given other ids")


def test_a_set_takes_versions_and_edits_like_any_dataset(store, shapes):
    first, second = side(shapes, "train")[:2]
    made = store.copy_rows("shapes", [first.id], "hard")
    store.copy_rows("shapes", [second.id], "hard")
    store.apply_edits("hard", Edits({f"shapes-{first.id}": "Own"}))

    assert store.restore("hard", made.sha256) == made
    assert said(store, "hard") == [(f"shapes-{first.id}", "train", first.gold)]
    assert len(store.versions("hard")) == 3


def test_what_cannot_be_copied_is_refused_whole(store, shapes, workspace):
    first = shapes[0].id
    (workspace.data / "Hard").mkdir()

    with pytest.raises(DatasetError, match="has no row `gone`, `lost`"):
        store.copy_rows("shapes", [first, "gone", "lost"], "new")
    with pytest.raises(DatasetError, match="No row is chosen"):
        store.copy_rows("shapes", [], "new")
    with pytest.raises(DatasetError, match="in `shapes` already"):
        store.copy_rows("shapes", [first], "shapes")
    with pytest.raises(NotFoundError, match="shape"):
        store.copy_rows("shape", [first], "new")
    for name in ("../new", "New", ""):
        with pytest.raises(UploadRefused) as caught:
            store.copy_rows("shapes", [first], name)
        assert caught.value.code == "DATASET_NAME"
    with pytest.raises(UploadRefused, match="`Hard`"):
        store.copy_rows("shapes", [first], "hard")
    assert store.names() == ["shapes"]
    assert list(workspace.staging.iterdir()) == []


def test_a_set_under_another_editor_is_not_added_to(store, shapes, workspace):
    first, second, *_ = [row.id for row in shapes]
    before = store.copy_rows("shapes", [first], "hard")

    with (
        exclusive_editor(workspace, "hard"),
        pytest.raises(DatasetError, match="Somebody else is changing dataset `hard`"),
    ):
        store.copy_rows("shapes", [second], "hard")

    assert store.get("hard") == before
