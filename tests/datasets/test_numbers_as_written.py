"""A number in an answer is what was written: in JSON, in parquet, and a class by its name."""

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_lab import folder_of

from backend.datasets.json_text import parse
from backend.datasets.store import ImportOptions

WRITTEN = ["12.50", "1e5", "1000000.00", "0.00001", "12345678901234567.89", "-0", "-0.0", "3", "1E+2", "9" * 40]


def answers(store, tmp_path, name, content):
    store.import_dataset(folder_of(tmp_path / "up", {name: content}), ImportOptions(validation_share=0))
    return [row.gold for row in store.rows("up")]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_json_numbers_keep_their_digits(store, tmp_path, name):
    rows = [f'{{"question": "Q{n}", "answer": {text}}}' for n, text in enumerate(WRITTEN)]
    content = "\n".join(rows) if name.endswith("l") else f"[{', '.join(rows)}]"

    assert answers(store, tmp_path, name, content) == WRITTEN


def test_a_list_of_numbers_is_a_box_with_its_digits(store, tmp_path):
    content = '[{"question": "Where?", "answer": [0.10, 2, 3.50, 4e1]}]'

    assert answers(store, tmp_path, "rows.json", content) == ["[0.10, 2, 3.50, 4e1]"]


def test_numbers_still_are_numbers_where_they_are_kept(store, tmp_path):
    content = '[{"question": "Q", "answer": "A", "tolerance": 0.50, "limits": [1.0, 2.50]}]'
    answers(store, tmp_path, "rows.json", content)

    [row] = store.rows("up")
    assert row.columns == {"tolerance": 0.5, "limits": [1.0, 2.5]}
    assert parse("[0.50]").value[0] + 1 == 1.5


def parquet_of(table):
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@pytest.mark.parametrize("kind", [pa.float32(), pa.float16(), pa.float64()])
def test_short_floats_of_parquet_have_no_digits_that_nobody_wrote(store, tmp_path, kind):
    exact = {pa.float32(): np.float32, pa.float16(): np.float16}.get(kind, np.float64)
    values = [0.1, 2.5, 100.0, 3.1]
    table = pa.table({"question": list("abcd"), "answer": pa.array([exact(value) for value in values], kind)})

    assert answers(store, tmp_path, "rows.parquet", parquet_of(table)) == ["0.1", "2.5", "100.0", "3.1"]


def test_decimals_and_days_of_parquet_are_as_they_stand(store, tmp_path):
    import datetime
    import decimal

    table = pa.table({
        "question": ["a", "b"],
        "answer": pa.array([decimal.Decimal("12.50"), decimal.Decimal("0.10")]),
        "day": pa.array([datetime.date(2024, 1, 2)] * 2),
    })  # fmt: skip

    assert answers(store, tmp_path, "rows.parquet", parquet_of(table)) == ["12.50", "0.10"]
    assert [row.columns for row in store.rows("up")] == [{"day": "2024-01-02"}] * 2


def described(table, features):
    return parquet_of(table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})}))


def test_classes_are_called_by_their_names_and_one_without_a_name_is_no_answer(store, tmp_path):
    label = {"names": ["apple pie", "ramen"], "_type": "ClassLabel"}
    table = pa.table({"question": list("abc"), "answer": [1, 0, -1], "tags": [[0, 1], [1], None]})
    features = {"question": {"dtype": "string", "_type": "Value"}, "answer": label,
                "tags": {"feature": label, "_type": "List"}}  # fmt: skip

    assert answers(store, tmp_path, "rows.parquet", described(table, features)) == ["ramen", "apple pie"]
    assert [row.columns for row in store.rows("up")] == [{"tags": ["apple pie", "ramen"]}, {"tags": ["ramen"]}]
    assert store.get("up").problem_counts["ANSWER_EMPTY"] == 1
