"""The three parts of a dataset as the upload has them: from files, folders and columns to rows, counts and notices."""

import json

import pytest
from dataset_lab import asked, codes, folder_of, image_bytes, lines_of

from backend.conversation import Row
from backend.datasets.records import Statistics
from backend.datasets.rows_file import INDEX, ROWS, read_page
from backend.datasets.store import ImportOptions


def counts_of(report) -> tuple[int, int, int]:
    """Training, validation and test rows."""
    counts = report.manifest.statistics
    return counts.train_rows, counts.validation_rows, counts.test_rows


def rows_of(*numbers: int) -> list[dict]:
    return [asked(None, f"Question {number}") for number in numbers]


def test_folders_of_three_parts_are_the_three_parts(store, tmp_path):
    files = {"train/data.json": rows_of(1, 2, 3), "val/data.json": rows_of(4, 5), "test/data.json": rows_of(6)}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert counts_of(report) == (3, 2, 1)
    given = ("Validation rows as given, from `val/data.json`", "Test rows as given, from `test/data.json`")
    assert set(given) <= set(report.manifest.notices)
    assert [row.source for row in store.rows("up", "test")] == ["test/data.json row 1"]
    assert [store.page("up", split=part).total for part in ("train", "validation", "test")] == [3, 2, 1]
    assert store.page("up", split="test", search="question").total == 1


def test_rows_of_refcoco_s_test_parts_are_never_trained_on(store, tmp_path):
    parts = ["train"] * 5 + ["val"] * 2 + ["testA"] * 3 + ["testB"] * 2
    rows = [row | {"split": part} for row, part in zip(rows_of(*range(12)), parts, strict=True)]

    report = store.import_dataset(folder_of(tmp_path / "up", {"refs.json": rows}), ImportOptions())

    assert counts_of(report) == (5, 2, 5)


def test_validation_rows_are_drawn_from_training_rows_and_never_from_the_test(store, tmp_path):
    files = {"train.json": rows_of(*range(20)), "test.json": rows_of(*range(20, 40))}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert counts_of(report) == (18, 2, 20)
    assert {row.source.split()[0] for row in store.rows("up", "validation")} == {"train.json"}
    assert (report.manifest.split.kind, report.manifest.split.share) == ("given", 0.1)
    assert any("no validation rows: 2 training rows drawn for validation" in text for text in report.manifest.notices)


def test_no_share_draws_no_validation_rows(store, tmp_path):
    files = {"train.json": rows_of(*range(20)), "test.json": rows_of(20)}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions(validation_share=0))

    assert counts_of(report) == (20, 0, 1)


def test_rows_with_an_unknown_split_are_left_out_and_said(store, tmp_path):
    parts = ["train"] * 6 + ["test"] * 2 + ["gold", ""]
    rows = [row | {"split": part} for row, part in zip(rows_of(*range(10)), parts, strict=True)]

    report = store.import_dataset(folder_of(tmp_path / "up", {"rows.json": rows}), ImportOptions())

    assert report.manifest.statistics.rows == 8
    assert report.manifest.skipped_rows == 2
    assert codes(report) == {"SPLIT_UNKNOWN": 2}
    assert report.problems[0].message == "Row 9 of `rows.json`: Its `split` is `gold`"


@pytest.mark.parametrize(
    ("files", "counts"),
    [
        ({"val.json": rows_of(1), "test.json": rows_of(2)}, (0, 1, 1)),
        ({"rows.json": [row | {"split": "test"} for row in rows_of(*range(10))]}, (0, 0, 10)),
    ],
)
def test_parts_without_training_rows_are_for_evaluations_only(store, tmp_path, files, counts):
    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert counts_of(report) == counts
    assert "No row is for training: the dataset can be evaluated, not trained on" in report.manifest.notices


def test_a_file_of_test_rows_is_the_test_whatever_its_rows_say(store, tmp_path):
    train = folder_of(tmp_path / "a", {"rows.json": [row | {"split": "train"} for row in rows_of(*range(10))]})
    test = folder_of(tmp_path / "b", {"rows.json": [row | {"split": "train"} for row in rows_of(11, 12)]})

    report = store.import_dataset(train, ImportOptions(test=test))

    assert counts_of(report) == (9, 1, 2)


def test_rows_that_name_no_part_beside_others_that_do_are_said(store, tmp_path):
    files = {"train.json": rows_of(1, 2), "val.json": rows_of(3), "extra.json": rows_of(4)}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert counts_of(report) == (3, 1, 0)
    assert "1 row of `extra.json` in no part: taken for training" in report.manifest.notices


def test_rows_in_another_part_than_their_file_s_name_are_said(store, tmp_path):
    files = {"train.json": rows_of(1, 2), "test.json": [row | {"split": "val"} for row in rows_of(3)]}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert counts_of(report) == (2, 1, 0)
    assert any("1 row of `test.json` in another part" in text for text in report.manifest.notices)


def test_an_image_in_any_two_parts_is_a_leak(store, tmp_path):
    shared, other = image_bytes(), image_bytes(color="blue")
    files = {
        "train.json": [asked("a.png")], "val.json": [asked("b.png"), asked("c.png")], "test.json": [asked("d.png")],
        "a.png": shared, "b.png": shared, "c.png": other, "d.png": other,
    }  # fmt: skip

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    leaks = [problem.message for problem in report.problems if problem.code == "SPLIT_LEAK"]
    assert leaks == [
        "Row 1 of `val.json`: The image `b.png` of a validation row is in training rows as well",
        "Row 1 of `test.json`: The image `d.png` of a test row is in validation rows as well",
    ]


def test_a_preview_shows_the_part_of_each_row(store, tmp_path):
    files = {"train.json": rows_of(1), "val.json": rows_of(2), "test.json": rows_of(3)}

    preview = store.inspect(folder_of(tmp_path / "up", files)).preview

    assert [row.split for row in preview] == ["test", "train", "validation"]


def test_what_an_earlier_version_held_out_is_read_as_validation(store, tmp_path):
    import array

    store.import_dataset(folder_of(tmp_path / "up", {"data.json": rows_of(*range(10))}), ImportOptions())
    folder = store.folder("up")
    held_out = [row.id for row in store.rows("up", "validation")]
    earlier = (folder / ROWS).read_bytes().replace(b'"split":"validation"', b'"split":"heldout"')
    (folder / ROWS).write_bytes(earlier)
    rows = [line for line in earlier.splitlines(keepends=True) if b"heldout" in line or b'"train"' in line]
    entries = [2 * earlier.index(line) + (b"heldout" in line) for line in rows]
    index = array.array("Q", [len(earlier), len(rows), *entries]).tobytes()

    for written in (index, b""):
        (folder / INDEX).write_bytes(written)
        assert [row.id for row in read_page(folder, 0, 20, split="validation").rows] == held_out
        assert read_page(folder, 0, 20, split="train").total == 9
        assert read_page(folder, 0, 20, split="test").total == 0
    assert held_out
    assert {json.loads(line.strip().rstrip(b","))["split"] for line in rows} == {"heldout", "train"}


def test_earlier_rows_and_counts_are_read_under_their_present_names():
    row = Row.model_validate({"id": "heldout", "split": "heldout", "images": [], "messages": []})
    zeros = dict.fromkeys(("width_px", "height_px", "visual_tokens", "text_tokens"), (0, 0, 0))
    counts = Statistics.model_validate(
        {"rows": 3, "train_rows": 2, "heldout_rows": 1, "turns": 3, "images": 0, "image_bytes": 0, "total_tokens": 0}
        | zeros
    )

    assert (row.id, row.split) == ("heldout", "validation")
    assert [counts.rows_of(part) for part in ("train", "validation", "test")] == [2, 1, 0]


def test_a_row_without_an_image_that_is_in_two_parts_is_a_leak(store, tmp_path):
    rows = [{"question": f"Q{n}", "answer": f"A{n}"} for n in range(4)]
    files = {"train.jsonl": lines_of(rows[:3]), "val.jsonl": lines_of([rows[2], rows[3]])}

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    leaks = [problem.message for problem in report.problems if problem.code == "SPLIT_LEAK"]
    assert leaks == ["Line 1 of `val.jsonl`: The row without an image, `Q2`, is in training rows as well"]
