"""U20 for tables: what a small file expands to is bounded, and so is how wide, long and deep a table may be."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dataset_lab import codes, folder_of, image_bytes, tree, zip_of

from backend.datasets.archive import MAX_MEMBERS
from backend.datasets.parquet_worker import MAX_ROWS, TableRefusal, TableWriter
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions
from backend.datasets.table_rows import seconds_for

GOOD = "question,answer\nQ,A\n"


def written(table, compression="zstd", **how):
    sink = io.BytesIO()
    pq.write_table(table, sink, compression=compression, **how)
    return sink.getvalue()


def repeated(value, times, kind=None):
    """A column that holds one value over and over, and takes a few bytes."""
    return pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), pa.array([value], kind))


def repeating(megabytes):
    """A file of a kilobyte whose rows take so many megabytes."""
    return written(pa.table({"question": repeated("x" * 1_000_000, megabytes), "answer": ["A"] * megabytes}))


def refused(workspace, act):
    before = tree(workspace.root)

    with pytest.raises(UploadRefused) as caught:
        act()

    assert caught.value.code == "TABLE_BOMB"
    assert caught.value.hint
    assert tree(workspace.root) == before
    assert not list(workspace.staging.iterdir())
    return caught.value.message


@pytest.mark.parametrize("packed", ["alone", "folder", "zip"])
@pytest.mark.parametrize("act", ["import", "inspect"])
def test_u20_a_kilobyte_that_says_one_text_three_thousand_times_is_refused_by_name(
    store, workspace, tmp_path, packed, act
):
    bomb = repeating(3_000)
    assert len(bomb) < 1_000
    folder = folder_of(tmp_path / "up", {"a.csv": GOOD, "bomb.parquet": bomb, "noise.bin": image_bytes((500, 500))})
    source = {"alone": folder / "bomb.parquet", "folder": folder}.get(packed)
    source = source or zip_of(tmp_path / "up.zip", {"a.csv": GOOD, "bomb.parquet": bomb})

    said = refused(
        workspace,
        (lambda: store.import_dataset(source, ImportOptions())) if act == "import" else lambda: store.inspect(source),
    )

    assert said.startswith("`bomb.parquet` takes ")
    assert "and expands to more than 16,777,216" in said


@pytest.mark.parametrize(
    ("table", "how", "said"),
    [
        (
            lambda: pa.table({"question": ["Q"] * 10, "answer": pa.array([[7] * 3_000_000] * 10, pa.list_(pa.int8()))}),
            {},
            "holds 30,000,010 values",
        ),
        (
            lambda: pa.table({"question": ["x" * 1_000_000] * 30, "answer": ["A"] * 30}),
            {"use_dictionary": False},
            "unpacks to",
        ),
        (
            lambda: pa.table({"image": repeated(b"x", 5_000, pa.binary()), "answer": ["A"] * 5_000}),
            {},
            "expands to more than",
        ),
        (
            lambda: pa.table({"question": pa.nulls(9_000_000), "answer": pa.nulls(9_000_000)}),
            {},
            "holds 18,000,000 values",
        ),
    ],
    ids=["long lists", "long pages", "a file for each byte", "rows of nothing"],
)
def test_u20_a_table_of_another_kind_that_expands_is_refused(store, workspace, tmp_path, table, how, said):
    source = folder_of(tmp_path / "up", {"a.parquet": written(table(), **how)})
    assert (source / "a.parquet").stat().st_size < 50_000

    assert said in refused(workspace, lambda: store.import_dataset(source, ImportOptions()))


def test_u20_tables_of_one_upload_expand_no_more_than_one_would(store, workspace, tmp_path):
    source = folder_of(tmp_path / "up", {f"{number}.parquet": repeating(7) for number in range(3)})

    said = refused(workspace, lambda: store.import_dataset(source, ImportOptions()))

    assert said.startswith("`2.parquet`")


def test_u20_a_table_packed_well_into_a_zip_counts_as_it_was_packed(store, workspace, tmp_path):
    plain = written(pa.table({"question": repeated("x" * 1_000_000, 20), "answer": ["A"] * 20}), "none")
    archive = zip_of(tmp_path / "up.zip", {"a.parquet": plain})
    assert archive.stat().st_size < 10_000 < 1_000_000 < len(plain)

    assert "expands to more than 16,777,216" in refused(workspace, lambda: store.inspect(archive))
    assert store.inspect(folder_of(tmp_path / "up", {"a.parquet": plain})).rows == 20


def test_u20_a_table_that_lies_about_its_pages_gets_no_more_memory_than_its_size_allows(store, workspace, tmp_path):
    text = "x" * 100_000_000
    content = written(pa.table({"question": repeated(text, 64), "answer": ["A"] * 64}))
    chunk = pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).column(0)
    honest, lie = varint(chunk.total_uncompressed_size), varint(20, width=4)
    assert content.count(honest) >= 1
    source = folder_of(tmp_path / "up", {"a.parquet": content.replace(honest, lie)})

    said = refused(workspace, lambda: store.import_dataset(source, ImportOptions()))

    assert "needs more than 2.0 GiB of memory" in said


def varint(number, width=0):
    """A number as thrift's compact protocol writes it, of `width` bytes though fewer would do."""
    number, out = number * 2, bytearray()
    while number > 127 or len(out) < width - 1:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def nested(depth):
    kind, value = pa.string(), "x"
    for _ in range(depth):
        kind, value = pa.struct([("a", kind)]), {"a": value}
    return pa.table({"question": ["Q"], "answer": pa.array([value], kind)})


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (pa.table({f"c{number}": ["A"] for number in range(1_001)}), "It has 1,001 columns; the limit is 1,000"),
        (pa.table({"answer": pa.nulls(MAX_ROWS + 1)}), "It has 20,000,001 rows; the limit is 20,000,000"),
        (nested(40), "It is nested 41 deep; the limit is 32"),
    ],
    ids=["wide", "long", "deep"],
)
def test_u20_a_table_beyond_all_measure_is_left_out_by_name_beside_good_rows(store, tmp_path, table, said):
    source = folder_of(tmp_path / "up", {"a.csv": GOOD, "b.parquet": written(table)})

    report = store.import_dataset(source, ImportOptions())

    assert codes(report) == {"TABLE_TOO_LARGE": 1}
    assert report.problems[0].message == f"`b.parquet`: {said}"
    assert report.manifest.statistics.rows == 1


def test_u20_a_table_writes_no_more_images_than_an_archive_may_hold(tmp_path):
    spool = TableWriter(tmp_path, "a.parquet", 1 << 40)
    spool._images = MAX_MEMBERS - 1
    spool.write({"image": b"the last one"})

    with pytest.raises(TableRefusal, match="500,000 images"):
        spool.write({"image": b"one more"})

    spool.close()
    assert [path.name for path in tmp_path.iterdir() if path.name != "rows.jsonl"] == ["0500000"]


def test_u20_the_time_for_a_table_fits_what_it_may_expand_to():
    assert seconds_for(16 << 20) < 70
    assert seconds_for(2 << 30) < 600
    assert seconds_for(50 << 30) == 3_600


def test_a_table_that_repeats_itself_as_people_do_is_imported(store, tmp_path):
    image = image_bytes((200, 200))
    table = pa.table({
        "image": repeated(image, 300, pa.binary()),
        "question": repeated("What is the number? " * 20, 300),
        "answer": [f"A{number}" for number in range(300)],
    })  # fmt: skip

    report = store.import_dataset(folder_of(tmp_path / "up", {"a.parquet": written(table)}), ImportOptions())

    assert report.manifest.statistics.rows == 300


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        ("answer," * 1_001 + "\nA\n" * 3, "TABLE_TOO_LARGE", "It has 1,002 columns; the limit is 1,000"),
        ("question,answer\n" + "x," * (17 << 20) + "\n", "TABLE_INVALID", "longer than 33,554,432 characters"),
        ("question,answer\n" + '"' + "x" * 1_000_000 + '\n",' * 1 + ('"' + "x" * 1_000_000 + '\n",') * 34,
         "TABLE_INVALID", "longer than 33,554,432 characters"),
    ],
    ids=["wide", "a row of one line", "a row of many lines"],
)  # fmt: skip
def test_u20_a_text_table_beyond_all_measure_is_left_out_by_name(store, tmp_path, content, code, said):
    source = folder_of(tmp_path / "up", {"a.csv": GOOD, "b.csv": content})

    report = store.import_dataset(source, ImportOptions())

    assert codes(report) == {code: 1}
    assert said in report.problems[0].message
    assert "`b.csv`" in report.problems[0].message


def test_a_text_table_of_many_rows_may_be_longer_than_any_row(store, tmp_path):
    rows = "".join(f"Q{number},{'x' * 1_000_000}\n" for number in range(35))

    report = store.import_dataset(folder_of(tmp_path / "up", {"a.csv": f"question,answer\n{rows}"}), ImportOptions())

    assert report.manifest.statistics.rows == 35
