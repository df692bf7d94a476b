import csv
import io
import json
from pathlib import Path

import pytest
from dataset_lab import asked, codes, folder_of, image_bytes, many, tree, zip_of

from backend.conversation import Message, Row
from backend.datasets.problems import CODES, DatasetProblem, UploadRefused, as_csv
from backend.datasets.rows_file import RowWriter, read_page
from backend.datasets.store import ImportOptions
from backend.errors import DatasetError, NotFoundError
from backend.settings import ROOT


@pytest.fixture
def shapes(store, tmp_path):
    return store.import_dataset(folder_of(tmp_path / "shapes", many(30)), ImportOptions()).manifest


def test_an_import_lies_on_disk_in_the_layout_of_the_scripts(store, shapes):
    folder = store.folder("shapes")
    rows = json.loads((folder / "data.json").read_text())

    assert len(rows) == 30
    assert sorted(rows[0]) == ["id", "images", "messages", "source", "split"]
    assert all((folder / row["images"][0]).is_file() for row in rows)
    assert [Row.model_validate(row) for row in rows] == list(store.rows("shapes"))
    assert sorted(path.name for path in folder.iterdir()) == [
        "data.index",
        "data.json",
        "dataset.json",
        "images",
        "problems.jsonl",
    ]


def test_a_stored_dataset_imports_as_itself(store, shapes, tmp_path):
    report = store.import_dataset(store.folder("shapes"), ImportOptions(name="again"))

    def contents(name):
        return [(row.id, row.split, row.images, row.messages) for row in store.rows(name)]

    assert contents("again") == contents("shapes")
    assert report.manifest.statistics == shapes.statistics


def test_statistics_are_those_of_the_rows(store, tmp_path):
    files = {"a.png": image_bytes((280, 140)), "b.png": image_bytes((560, 560), color="blue")}
    rows = [asked("a.png"), asked(["a.png", "b.png"], "<image><image>Which?"), asked(None, "Hello?", "Hi")]

    found = store.import_dataset(
        folder_of(tmp_path / "up", files | {"data.json": rows}), ImportOptions()
    ).manifest.statistics

    assert (found.rows, found.train_rows, found.turns, found.images) == (3, 3, 6, 2)
    assert (found.width_px, found.height_px) == ((280, 560, 560), (140, 560, 560))
    assert found.visual_tokens == (0, 50, 450)
    assert found.image_bytes == sum(len(content) for content in files.values())
    assert found.most_frequent_answers == (("Red", 2), ("Hi", 1))


def test_names_manifests_and_mistyped_names(store, shapes):
    assert store.names() == ["shapes"]
    assert store.manifests() == [shapes]
    assert store.get("shapes") == shapes
    with pytest.raises(NotFoundError, match="shape") as caught:
        store.get("shape")
    assert caught.value.hint == "Did you mean `shapes`?"
    for name in ("..", "../shapes", "../data/shapes", "./shapes", "shapes/", "", ".staging", "shapes/images"):
        with pytest.raises(NotFoundError):
            store.folder(name)


def test_a_folder_without_its_manifest_is_no_dataset(store, shapes, workspace):
    (workspace.data / "half").mkdir()
    (workspace.data / "half/data.json").write_text("[]")
    (workspace.data / "bad").mkdir()
    (workspace.data / "bad/dataset.json").write_text("{")

    assert store.manifests() == [shapes]
    with pytest.raises(DatasetError, match=r"bad/dataset\.json"):
        store.get("bad")


def test_pages_follow_each_other_and_end(store, shapes):
    rows = list(store.rows("shapes"))

    assert store.page("shapes", start=0, count=7) == (tuple(rows[:7]), 30)
    assert store.page("shapes", start=28, count=7) == (tuple(rows[28:]), 30)
    assert store.page("shapes", start=99) == ((), 30)


def test_pages_of_a_split_and_of_a_search(store, shapes):
    heldout = list(store.rows("shapes", "validation"))

    assert store.page("shapes", split="validation", count=99) == (tuple(heldout), 3)
    assert store.page("shapes", search="ANSWER 2", count=2).total == 11
    assert [row.messages[1].content for row in store.page("shapes", search="answer 29").rows] == ["Answer 29"]
    assert store.page("shapes", search="nowhere").total == 0
    assert store.page("shapes", search="images/").total == 0


def test_words_that_json_escapes_are_found(store, tmp_path):
    rows = [asked(None, "Q", answer) for answer in ('say "hi"', "a\\b", "two\nlines", "猫 <script>")]
    store.import_dataset(folder_of(tmp_path / "up", {"data.json": rows}), ImportOptions())

    for words in ('"HI"', "a\\b", "two\nlines", "猫", "<script>"):
        assert store.page("up", search=words).total == 1


def test_a_page_is_right_without_or_with_an_old_index(store, shapes):
    before = store.page("shapes", start=10, count=5)
    index = store.folder("shapes") / "data.index"

    for content in (None, b"", index.read_bytes()[:-8], b"12345678" * 31):
        index.unlink(missing_ok=True)
        if content is not None:
            index.write_bytes(content)
        assert store.page("shapes", start=10, count=5) == before


def test_rows_changed_by_hand_beyond_reading_are_an_error(store, shapes):
    path = store.folder("shapes") / "data.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))

    with pytest.raises(DatasetError, match="no row"):
        store.page("shapes")
    assert {problem.code for problem in store.check("shapes")} == {"ROWS_CHANGED", "ROW_INVALID"}


def peak_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def bytes_read() -> int:
    """By this process until now, from the disk or the kernel's cache of it."""
    return int(Path("/proc/self/io").read_text().partition("rchar:")[2].split()[0])


def test_u17_a_page_of_a_gigabyte_takes_the_time_of_a_page(tmp_path):
    message = Message(role="assistant", content="<script>alert(1)</script>" + "x" * 1_000_000)
    row = Row(id="1", split="train", images=(), messages=(Message(role="user", content="Q"), message))
    with RowWriter(tmp_path) as writer:
        for _ in range(1_000):
            writer.add(row)
    assert (tmp_path / "data.json").stat().st_size > 1_000_000_000
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted anew from here
    before = peak_bytes()

    for start in (0, 500, 997):
        already = bytes_read()
        page = read_page(tmp_path, start, 3)
        assert bytes_read() - already < 20_000_000
        assert page.total == 1_000
        assert page.rows[0] == row

    assert peak_bytes() - before < 100_000_000
    (tmp_path / "data.json").unlink()


def test_images_are_found_by_the_names_in_rows_only(store, shapes, tmp_path):
    [row] = store.page("shapes", count=1).rows

    assert store.image("shapes", row.images[0]).read_bytes().startswith(b"\x89PNG")
    for name in (
        "data.json",
        "images/../data.json",
        "/etc/passwd",
        "images/",
        "images/no.png",
        "images/x.png\n",
        "../shapes/data.json",
    ):
        with pytest.raises(NotFoundError):
            store.image("shapes", name)
    (store.folder("shapes") / "images/link.png").symlink_to("/etc/passwd")
    with pytest.raises(NotFoundError):
        store.image("shapes", "images/link.png")


def test_a_check_finds_what_changed(store, shapes):
    assert store.check("shapes") == []
    first, second, *_ = [row.images[0] for row in store.rows("shapes")]
    (store.folder("shapes") / first).unlink()
    (store.folder("shapes") / second).write_bytes(b"x")

    assert [(problem.code, problem.line) for problem in store.check("shapes")] == [
        ("IMAGE_GONE", 2),
        ("IMAGE_GONE", 3),
    ]


def test_u15_a_check_follows_no_link_out_of_the_dataset(store, shapes, tmp_path):
    image = next(store.rows("shapes")).images[0]
    stored = store.folder("shapes") / image
    stored.rename(tmp_path / "elsewhere.png")
    stored.symlink_to(tmp_path / "elsewhere.png")

    [problem] = store.check("shapes")

    assert (problem.code, problem.line) == ("IMAGE_GONE", 2)
    assert f"`{image}` is not in the dataset" in problem.message


def test_a_deleted_dataset_is_gone_and_its_name_free(store, shapes, workspace, tmp_path):
    store.delete("shapes")

    assert store.names() == []
    assert list(workspace.staging.iterdir()) == []
    with pytest.raises(NotFoundError):
        store.delete("shapes")
    assert not store.import_dataset(folder_of(tmp_path / "shapes", {}), ImportOptions()).was_known


def test_the_same_upload_twice_is_known(store, shapes, tmp_path):
    again = store.import_dataset(zip_of(tmp_path / "other.zip", many(30)), ImportOptions())

    assert again.was_known
    assert again.manifest == shapes
    assert store.names() == ["shapes"]
    assert not store.import_dataset(tmp_path / "shapes", ImportOptions(name="copy")).was_known
    assert store.import_dataset(tmp_path / "shapes", ImportOptions(name="copy")).was_known


def test_m5_a_name_is_given_once(store, shapes, workspace, tmp_path):
    other = folder_of(tmp_path / "other", {"data.json": [asked(None, "Q")]})
    (workspace.data / "Receipts").mkdir()

    for name in ("shapes", "receipts"):
        with pytest.raises(UploadRefused) as caught:
            store.import_dataset(other, ImportOptions(name=name))
        assert caught.value.code == "NAME_TAKEN"
        assert "another name" in caught.value.hint
    for name in ("Shapes", "../x", "a b", "收据"):
        with pytest.raises(UploadRefused) as caught:
            store.import_dataset(other, ImportOptions(name=name))
        assert caught.value.code == "DATASET_NAME"


def test_strict_imports_nothing_while_one_row_is_bad(store, tmp_path):
    folder = folder_of(tmp_path / "up", {"data.json": [asked(None, "Q"), asked("gone.png"), asked(None, "Q", "")]})

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(folder, ImportOptions(strict=True))

    assert caught.value.code == "STRICT"
    assert [problem.code for problem in caught.value.problems] == ["IMG_NOT_FOUND", "ANSWER_EMPTY"]
    assert store.names() == []
    assert store.import_dataset(folder, ImportOptions()).manifest.skipped_rows == 2


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"data.json": "[]"}, "NO_ROWS"),
        ({"data.jsonl": ""}, "NO_ROWS"),
        ({"data.json": "{"}, "NO_ROWS"),
        ({"data.json": [{"a": 1}]}, "LAYOUT_UNKNOWN"),
        ({"data.json": [asked("gone.png")]}, "NO_VALID_ROWS"),
        ({"readme.txt": "hello"}, "NO_ANNOTATION"),
        ({}, "NO_ANNOTATION"),
    ],
)
def test_an_upload_without_good_rows_is_refused_with_the_reason(store, workspace, tmp_path, files, code):
    (tmp_path / "up").mkdir()
    before = tree(workspace.root)

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert caught.value.code == code
    assert caught.value.hint
    assert tree(workspace.root) == before


def test_a_missing_path_or_a_single_image_is_refused(store, tmp_path):
    (tmp_path / "a.png").write_bytes(image_bytes())

    for name, code in (("gone.zip", "UPLOAD_UNREADABLE"), ("a.png", "UPLOAD_KIND")):
        with pytest.raises(UploadRefused) as caught:
            store.import_dataset(tmp_path / name, ImportOptions())
        assert caught.value.code == code


def test_all_held_out_is_refused(store, tmp_path):
    train = folder_of(tmp_path / "a", {"data.json": [asked("gone.png")]})
    heldout = folder_of(tmp_path / "b", {"data.json": [asked(None, "Q")]})

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(train, ImportOptions(validation=heldout))

    assert caught.value.code == "NO_TRAINING_ROWS"


def test_rows_of_all_files_are_taken_and_other_files_left_alone(store, tmp_path):
    files = {
        "a.json": [asked(None, "Q1")],
        "more/b.jsonl": json.dumps(asked(None, "Q2")),
        "c.csv": "question,answer\nQ3,A\n",
        "dataset_info.json": {"a": {"file_name": "a.json"}},
        "config.json": {"x": [1, 2]},
    }

    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert [row.messages[0].content for row in store.rows("up")] == ["Q1", "Q3", "Q2"]
    assert codes(report) == {"FILE_SKIPPED": 2}
    assert report.manifest.skipped_rows == 0
    assert report.manifest.notices[-1] == "3 rows without an image, to be learned from as text"


def test_problems_are_listed_up_to_a_thousand_and_counted_all(store, tmp_path):
    rows = [
        asked(None, "Q"),
        *[asked(None, f"Q{n}", "") for n in range(1_200)],
        *[asked("v", video="x") for _ in range(7)],
    ]

    report = store.import_dataset(folder_of(tmp_path / "up", {"data.json": rows}), ImportOptions())

    assert codes(report) == {"ANSWER_EMPTY": 1_200, "VIDEO_ROW": 7}
    assert report.manifest.skipped_rows == 1_207
    assert len(report.problems) == 1_000
    assert store.problems("up") == list(report.problems)


def test_rows_that_are_wholly_equal_have_ids_of_their_own(store, tmp_path):
    store.import_dataset(folder_of(tmp_path / "up", {"data.json": [asked(None, "Q")] * 3}), ImportOptions())

    first, *others = [row.id for row in store.rows("up")]
    assert others == [f"{first}-2", f"{first}-3"]


def test_u19_a_cell_that_is_a_formula_is_made_harmless(store, tmp_path):
    rows = [asked(None, "Q"), asked("gone.png") | {"id": "=cmd|' /C calc'!A0"}, asked("gone.png") | {"id": "@SUM(1)"}]
    store.import_dataset(folder_of(tmp_path / "up", {"data.json": rows}), ImportOptions())

    table = list(csv.DictReader(io.StringIO(store.problems_csv("up"))))

    assert [row["record"] for row in table] == ["'=cmd|' /C calc'!A0", "'@SUM(1)"]
    for start in "=+-@\t\r":
        problem = DatasetProblem(code="X", severity="error", file=f"{start}x", message="m", hint="h")
        [_, cells] = csv.reader(io.StringIO(as_csv([problem]), newline=""))
        assert cells[2] == f"'{start}x"


def test_every_code_has_a_hint_and_is_used():
    sources = "".join(path.read_text() for path in (ROOT / "backend/datasets").glob("*.py") if path.name != "codes.py")

    assert len(CODES) > 50
    assert [code for code in CODES if f'"{code}"' not in sources] == []
    assert all(code.hint for code in CODES.values())
