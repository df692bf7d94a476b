import random

from dataset_lab import asked, codes, folder_of, image_bytes, many, zip_of

from backend.datasets.assembly import estimated_tokens
from backend.datasets.split import hold_out
from backend.datasets.store import ImportOptions


def test_rows_that_share_a_image_stay_together_however_long_the_chain():
    keys = [[f"row{n}", f"p{n // 2}", f"p{n // 2 + 1}"] if n < 10 else [f"row{n}"] for n in range(60)]

    for seed in range(30):
        held = hold_out(keys, 0.2, seed).rows

        assert len(held & set(range(10))) in (0, 10)
        assert 1 <= len(held) <= 12


def test_the_choice_depends_on_the_seed_and_not_on_the_order():
    keys = [[f"row{n}", f"p{n // 3}"] for n in range(100)]
    order = list(range(100))
    random.Random(1).shuffle(order)

    held = hold_out(keys, 0.1, 42).rows
    shuffled = hold_out([keys[n] for n in order], 0.1, 42).rows

    assert {order[n] for n in shuffled} == held
    assert hold_out(keys, 0.1, 43).rows != held
    assert len(held) in range(8, 11)


def test_more_rows_keep_the_earlier_choice_mostly_as_it_was():
    keys = [[f"row{n}"] for n in range(1000)]

    small, large = hold_out(keys[:900], 0.1, 42).rows, hold_out(keys, 0.1, 42).rows

    assert len(small & large) > 80


def test_small_datasets_hold_nothing_out_and_say_so():
    for count, share in ((1, 0.1), (4, 0.5), (5, 0.05)):
        held = hold_out([[str(n)] for n in range(count)], share, 1)

        assert held.rows == frozenset()
        assert f"With {count} rows" in held.notice


def test_nothing_is_held_out_where_nothing_was_wanted():
    assert hold_out([[str(n)] for n in range(50)], 0.0, 1) == (frozenset(), "")


def test_one_image_for_all_rows_leaves_them_all_for_training():
    held = hold_out([["p", str(n)] for n in range(50)], 0.1, 1)

    assert held.rows == frozenset()
    assert "share images" in held.notice


def test_large_groups_are_held_out_whole_and_the_person_is_told():
    held = hold_out([[f"p{n // 10}"] for n in range(30)], 0.1, 1)

    assert len(held.rows) == 10
    assert "10 rows are held out instead of 3" in held.notice


def test_an_import_holds_out_the_same_rows_from_a_zip_and_from_renamed_files(store, tmp_path):
    files = many(40)
    moved = {"other/" + name: content for name, content in files.items() if name != "data.json"}
    moved["rows.jsonl"] = [
        asked(row["image"], answer=row["conversations"][1]["value"]) for row in reversed(files["data.json"])
    ]

    first = store.import_dataset(zip_of(tmp_path / "first.zip", files), ImportOptions())
    store.import_dataset(folder_of(tmp_path / "second", moved), ImportOptions())

    assert first.manifest.statistics.validation_rows == 4
    assert {row.id for row in store.rows("first", "validation")} == {
        row.id for row in store.rows("second", "validation")
    }
    assert (first.manifest.split.kind, first.manifest.split.share, first.manifest.split.seed) == ("seeded", 0.1, 42)


def test_equal_images_under_other_names_stay_on_one_side(store, tmp_path):
    files = {f"{n}.png": image_bytes(color=(n // 4, 0, 0)) for n in range(40)}
    rows = [asked(f"{n}.png", answer=str(n)) for n in range(40)]

    report = store.import_dataset(
        folder_of(tmp_path / "up", files | {"data.json": rows}), ImportOptions(validation_share=0.3)
    )

    train = {row.images for row in store.rows("up", "train")}
    assert not train & {row.images for row in store.rows("up", "validation")}
    assert report.manifest.statistics.images == 10
    assert codes(report) == {"IMG_DUPLICATE": 30, "ANSWERS_DIFFER": 30}


def test_files_named_train_and_val_are_the_split(store, tmp_path):
    files = {f"{n}.png": image_bytes(color=(n, 0, 0)) for n in range(6)}
    for names in (
        ("train.json", "val.json"),
        ("train-00000-of-00001.jsonl", "validation-00000-of-00001.jsonl"),
        ("rows.json", "valid/rows.json"),
        ("train/annotations/rows.json", "val/annotations/rows.json"),
    ):
        rows = {names[0]: [asked(f"{n}.png") for n in range(4)], names[1]: [asked(f"{n}.png") for n in (4, 5)]}
        folder = folder_of(tmp_path / names[1].replace("/", "-"), files | rows)

        report = store.import_dataset(folder, ImportOptions())

        assert report.manifest.split.kind == "given"
        assert f"Validation rows as given, from `{names[1]}`" in report.manifest.notices
        assert (report.manifest.statistics.train_rows, report.manifest.statistics.validation_rows) == (4, 2)
        assert codes(report) == {}


def test_a_file_called_test_alone_is_no_split(store, tmp_path):
    report = store.import_dataset(folder_of(tmp_path / "up", {"test.json": [asked(None, "Q")]}), ImportOptions())

    assert report.manifest.split.kind == "seeded"
    assert report.manifest.statistics.train_rows == 1
    assert report.manifest.notices[0].startswith("Every row is in the part `test`, by `test.json`")


def test_a_second_upload_is_held_out_and_leaks_are_named(store, tmp_path):
    same, new = image_bytes(), image_bytes(color="blue")
    train = folder_of(
        tmp_path / "train",
        {"data.json": [asked("a.png"), asked("b.png")], "a.png": same, "b.png": image_bytes(color="green")},
    )
    heldout = zip_of(tmp_path / "h.zip", {"rows.json": [asked("x.png"), asked("y.png")], "x.png": same, "y.png": new})

    report = store.import_dataset(train, ImportOptions(validation=heldout))

    assert [row.source for row in store.rows("train", "validation")] == ["rows.json row 1", "rows.json row 2"]
    assert report.manifest.split.kind == "given"
    assert codes(report)["SPLIT_LEAK"] == 1
    [leak] = [problem for problem in report.problems if problem.code == "SPLIT_LEAK"]
    assert leak.message == "Row 1 of `rows.json`: The image `x.png` of a validation row is in training rows as well"


def test_a_split_column_is_followed(store, tmp_path):
    rows = "image,question,answer,split\n" + "".join(f",Q{n},A,{'test' if n > 7 else 'train'}\n" for n in range(10))

    report = store.import_dataset(folder_of(tmp_path / "up", {"rows.csv": rows}), ImportOptions())

    counts = report.manifest.statistics
    assert (counts.train_rows, counts.validation_rows, counts.test_rows) == (7, 1, 2)


def test_text_tokens_are_estimated_by_script():
    assert estimated_tokens("") == 0
    assert estimated_tokens("What colour is it?") == 5
    assert estimated_tokens("这是什么颜色") == 4
    assert estimated_tokens("2015") == 4


def test_a_heldout_file_inside_the_imported_folder_is_read_once(store, tmp_path):
    folder = folder_of(tmp_path / "up", {"a.json": [asked(None, "Q1")], "b.json": [asked(None, "Q2")]})

    report = store.import_dataset(folder, ImportOptions(validation=folder / "b.json"))

    assert (report.manifest.statistics.train_rows, report.manifest.statistics.validation_rows) == (1, 1)
