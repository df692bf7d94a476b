"""Other accepted answers: read where rows bring them, kept beside the gold one, not written where there are none."""

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_lab import asked, codes, folder_of, image_bytes

from backend.datasets.store import ImportOptions

TURNS = [{"role": "user", "content": "<image>What?"}, {"role": "assistant", "content": "Red"}]


def imported(store, tmp_path, rows, name="data.json"):
    files = {name: rows, "a.png": image_bytes()}
    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions(text_rows=True))
    return report, list(store.rows("up"))


def parquet_of(rows):
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    "row",
    [
        asked("a.png"),
        {"messages": TURNS, "images": ["a.png"]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "<image>What?"}]}, TURNS[1]],
         "images": ["a.png"]},
        {"prompt": "What?", "completion": "Red", "image": "a.png"},
        {"question": "What?", "answer": "Red", "image": "a.png"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("more", "others"),
    [
        ({"references": ["red", "Red", " ", "crimson", "red"]}, ("red", "crimson", "red")),
        ({"answers": ["red", "crimson"]}, ("red", "crimson")),
        (
            {"answers": [{"answer": "red", "id": 1}, {"answer": "Red"}, {"answer": "crimson"}]},
            ("red", "crimson"),
        ),
        ({"references": ["red"], "answers": ["crimson"]}, ("red", "crimson")),
    ],
)
def test_accepted_answers_are_read_in_every_layout(store, tmp_path, row, more, others):
    report, [found] = imported(store, tmp_path, [row | more])

    assert found.gold == "Red"
    assert found.references == others
    assert codes(report) == {}
    assert not any("not used" in notice for notice in report.manifest.notices)


def test_rows_without_any_keep_the_bytes_they_had(store, tmp_path):
    imported(store, tmp_path, [asked("a.png"), asked("a.png", answer="Blue", references=["blue"])])

    without, with_some = json.loads((store.folder("up") / "data.json").read_text())
    assert list(without) == ["id", "split", "images", "messages", "source"]
    assert list(with_some) == [*without, "references"]


def test_the_most_frequent_of_answers_alone_is_the_gold_one(store, tmp_path):
    answers = [{"answer": text} for text in ("dark red", "red", "crimson", "red")]
    rows = [
        {"image": "a.png", "question": "What?", "answers": answers},
        {"image": "a.png", "prompt": "Which?", "answers": ["one", "two"]},
    ]

    report, [first, second] = imported(store, tmp_path, rows)

    assert (first.gold, first.references) == ("red", ("dark red", "crimson", "red"))
    assert (second.gold, second.references) == ("one", ("two",))
    assert report.manifest.layout == "table"


def test_tables_and_parquet_bring_lists(store, tmp_path):
    table = 'question,answer,references\nQ1,Red,"[""red"", ""crimson""]"\nQ2,"[1, 2]","[1, 2, 3]"\nQ3,A,plain\nQ4,A,\n'

    _, found = imported(store, tmp_path, table, "data.csv")

    assert [row.references for row in found] == [("red", "crimson"), ("[1, 2, 3]",), ("plain",), ()]


def test_parquet_lists_are_read(store, tmp_path):
    rows = [{"question": "Q", "answers": ["b", "a", "a"]}, {"question": "Q2", "answers": ["c"]}]

    _, found = imported(store, tmp_path, parquet_of(rows), "data.parquet")

    assert [(row.gold, row.references) for row in found] == [("a", ("b", "a")), ("c", ())]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"words": ["red"]}, "`references[0]` is an object without an `answer`"),
        ([["red"]], "`references[0]` is a list, not a text"),
        (["red", {"answer": {"a": 1}}], "`references[1]` is an object, not a text"),
    ],
)
def test_what_cannot_be_read_is_a_warning_and_the_row_is_kept(store, tmp_path, value, said):
    report, [row] = imported(store, tmp_path, [asked("a.png", references=value)])

    assert row.references == ()
    assert codes(report) == {"REFERENCES_INVALID": 1}
    assert said in report.problems[0].message
    assert report.manifest.skipped_rows == 0


def test_numbers_are_texts_and_nothing_is_nothing(store, tmp_path):
    _, [first, second] = imported(
        store, tmp_path, [asked("a.png", references=[4, 4.5, None]), asked("a.png", answer="B", references=None)]
    )

    assert (first.references, second.references) == (("4", "4.5"), ())


def test_a_stored_dataset_gives_its_accepted_answers_on(store, tmp_path):
    imported(store, tmp_path, [asked("a.png", references=["red"])])

    store.import_dataset(store.folder("up"), ImportOptions(name="again"))

    assert [row.references for row in store.rows("again")] == [("red",)]
