import pytest
from dataset_lab import asked, codes, folder_of, image_bytes, parquet_of, zip_of

from backend.datasets.problems import UploadRefused
from backend.datasets.records import ColumnMapping
from backend.datasets.store import ImportOptions


def imported(store, tmp_path, files, **options):
    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions(**options))
    return report, list(store.rows("up"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'image,question,answer\na.png,"What, then?","Red\nand ""blue"""\n'),
        ("a.csv", 'image;question;answer\r\na.png;What, then?;"Red\nand ""blue"""\r\n'),
        ("a.tsv", 'image\tquestion\tanswer\na.png\tWhat, then?\t"Red\nand ""blue"""\n'),
        ("a.csv", '\ufeff图片,问题,答案\na.png,"What, then?","Red\nand ""blue"""\n\n'),
        ("a.csv", '图片,问题,答案\na.png,"What, then?","Red\nand ""blue"""'.encode("gbk")),
    ],
)
def test_tables_of_any_dialect_become_rows(store, tmp_path, name, content):
    report, [row] = imported(store, tmp_path, {name: content, "a.png": image_bytes()})

    assert [message.content for message in row.messages] == ["<image>What, then?", 'Red\nand "blue"']
    assert report.manifest.layout == "table"
    assert row.source == f"{name} row 1"


def test_an_answer_that_looks_like_a_list_stays_text(store, tmp_path):
    _, [row] = imported(
        store,
        tmp_path,
        {"a.csv": 'image,question,answer\n"[""a.png""]",Where?,"[1, 2, 3, 4]"\n', "a.png": image_bytes()},
    )

    assert row.messages[1].content == "[1, 2, 3, 4]"
    assert len(row.images) == 1


def test_rows_of_another_width_are_reported(store, tmp_path):
    report, rows = imported(store, tmp_path, {"a.csv": "question,answer\nQ,A\nQ,A,extra\nQ\n"})

    assert len(rows) == 1
    assert codes(report) == {"TABLE_INVALID": 1, "ANSWER_EMPTY": 1}
    assert "It has 3 cells, and the header names 2 columns" in report.problems[0].message


def test_a_cell_without_end_is_reported(store, tmp_path):
    report, rows = imported(store, tmp_path, {"a.csv": 'question,answer\nQ,A\nQ,"' + "x" * (17 << 20)})

    assert len(rows) == 1
    assert codes(report) == {"TABLE_INVALID": 1}


def test_a_row_that_is_no_text_is_reported_beside_good_ones(store, tmp_path):
    content = "question,answer\nQ,猫猫猫猫\nQ,".encode() + b"\xff\xfe\nQ,B\n"

    report, rows = imported(store, tmp_path, {"a.csv": content})

    assert [row.messages[1].content for row in rows] == ["猫猫猫猫", "B"]
    assert codes(report) == {"TEXT_ENCODING": 1, "ANSWERS_DIFFER": 1}


def test_parquet_with_images_inside_is_unpacked(store, tmp_path):
    rows = [
        {
            "image": {"bytes": image_bytes(color=(n, 9, 9)), "path": None},
            "question": f"Q{n}",
            "answer": f"A{n}",
            "when": None,
        }
        for n in range(7)
    ]

    report, found = imported(store, tmp_path, {"train-00000-of-00001.parquet": parquet_of(rows)})

    assert [row.messages[1].content for row in found] == [f"A{n}" for n in range(7)]
    assert report.manifest.statistics.images == 7
    assert codes(report) == {}


def test_parquet_of_messages_with_lists_of_images(store, tmp_path):
    turns = [
        {"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Red"}]},
    ]
    row = {"messages": turns, "images": [{"bytes": image_bytes(), "path": "a.png"}]}

    report, [found] = imported(store, tmp_path, {"a.parquet": parquet_of([row])})

    assert found.messages[0].content == "<image>What?"
    assert report.manifest.layout == "parts"


def test_parquet_may_name_images_or_hold_their_bytes(store, tmp_path):
    rows = [{"image": "a.png", "prompt": "Q", "completion": "A"}]
    raw = [{"image": image_bytes(color="blue"), "prompt": "Q", "completion": "A"}]

    report, found = imported(
        store, tmp_path, {"1.parquet": parquet_of(rows), "2.parquet": parquet_of(raw), "a.png": image_bytes()}
    )

    assert [len(row.images) for row in found] == [1, 1]
    assert report.manifest.statistics.images == 2


def test_broken_parquet_is_reported_beside_good_rows(store, tmp_path):
    good = parquet_of([{"question": "Q", "answer": "A"}])

    report, _ = imported(
        store, tmp_path, {"a.parquet": good, "b.parquet": good[:-20], "c.parquet": b"PAR1nonsensePAR1"}
    )

    assert codes(report) == {"PARQUET_INVALID": 2}
    assert report.manifest.statistics.rows == 1


def test_unknown_columns_are_mapped_by_the_person(store, tmp_path):
    folder = folder_of(tmp_path / "up", {"a.csv": "scan,ask,say\na.png,Q1,A1\na.png,Q2,A2\n", "a.png": image_bytes()})
    mapping = ColumnMapping(images=("scan",), question="ask", answer="say")

    seen = store.inspect(folder)
    mapped = store.inspect(folder, ImportOptions(mapping=mapping))
    report = store.import_dataset(folder, ImportOptions(mapping=mapping))

    assert (seen.layout, seen.columns, seen.rows, seen.images) == (None, ("scan", "ask", "say"), 2, 1)
    assert seen.first_rows[0] == {"scan": "a.png", "ask": "Q1", "say": "A1"}
    assert seen.preview == ()
    assert mapped.layout == "table"
    assert [row.messages[1].content for row in mapped.preview] == ["A1", "A2"]
    assert mapped.preview[0].images == ("a.png",)
    assert report.manifest.statistics.rows == 2


def test_an_inspection_shows_the_first_rows_and_their_problems(store, tmp_path):
    rows = [asked("gone.png"), *[asked("a.png", answer=f"{n}" + "x" * 300) for n in range(60)]]

    seen = store.inspect(folder_of(tmp_path / "up", {"data.json": rows, "a.png": image_bytes()}))

    assert (seen.layout, seen.rows, len(seen.preview), len(seen.first_rows)) == ("llava", 61, 5, 5)
    assert [problem.code for problem in seen.problems] == ["IMG_NOT_FOUND"]
    assert all(len(value) <= 200 for row in seen.first_rows for value in row.values())


def test_an_inspection_of_parquet_reads_only_its_first_rows(store, tmp_path):
    rows = [{"image": {"bytes": image_bytes(), "path": None}, "question": "Q", "answer": str(n)} for n in range(300)]

    seen = store.inspect(folder_of(tmp_path / "up", {"a.parquet": parquet_of(rows)}))

    assert (seen.layout, seen.rows, len(seen.preview)) == ("table", 300, 5)


def test_columns_that_become_no_message_are_named(store, tmp_path):
    table = "id,question,source,answer,empty\n1,Q,web,A,\n"

    report, _ = imported(store, tmp_path, {"a.csv": table})

    assert "Columns that are in no message, and that rewards get by their names: `source`" in report.manifest.notices


def test_an_inspection_refuses_a_column_that_is_not_there(store, tmp_path):
    folder = folder_of(tmp_path / "up", {"a.csv": "ask,say\nQ,A\n"})

    with pytest.raises(UploadRefused, match="`reply`") as caught:
        store.inspect(folder, ImportOptions(mapping=ColumnMapping(question="ask", answer="reply")))

    assert caught.value.code == "LAYOUT_UNKNOWN"
    with pytest.raises(UploadRefused, match="their fields are `ask`, `say`"):
        store.import_dataset(folder, ImportOptions(mapping=ColumnMapping(question="ask", answer="reply")))


def test_an_inspection_leaves_nothing_behind(store, workspace, tmp_path):
    store.inspect(zip_of(tmp_path / "up.zip", {"data.json": [asked("a.png")], "a.png": image_bytes()}))

    assert list(workspace.staging.iterdir()) == []
