"""Tables as people's programs write them: delimiters, quotes, headers, and Excel workbooks."""

import datetime
import io

import openpyxl
import pytest
from dataset_lab import codes, folder_of, image_bytes

from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions


def golds(store, tmp_path, name, content, **more):
    report = store.import_dataset(folder_of(tmp_path / "up", {name: content, **more}), ImportOptions())
    return report, [row.gold for row in store.rows("up")]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_the_one_that_all_lines_agree_on(store, tmp_path, mark, name, end):
    rows = [["question", "answer, in words", "n"], *[[f"Is it a; b or c {n}?", f"one {n}", str(n)] for n in range(4)]]
    quote = '"{}"'.format if mark in ",;" else str
    content = end.join(mark.join(map(quote, row)) for row in rows).replace("answer, in words", "answer")

    assert golds(store, tmp_path, name, content)[1] == [f"one {n}" for n in range(4)]


@pytest.mark.parametrize("mark", [";", ",", "|"])
def test_a_first_line_of_excel_names_the_delimiter(store, tmp_path, mark):
    content = f"sep={mark}\nquestion{mark}answer\nQ{mark}A\n"

    assert golds(store, tmp_path, "a.csv", content)[1] == ["A"]


def test_a_quote_that_is_part_of_a_text_swallows_no_row(store, tmp_path):
    content = 'question\tanswer\nWhat is it?\t"Stop\nHow long?\t3"\nAnd this?\tGo\nSaid?\t"Yes" he said\n'

    assert golds(store, tmp_path, "a.tsv", content)[1] == ['"Stop', '3"', "Go", '"Yes" he said']


def test_a_quote_that_is_left_open_among_proper_ones_is_told_with_what_it_took(store, tmp_path):
    content = 'n,question,answer\n1,A,"x, y"\n2,B,"open\n3,C,z\n4,D,"w"\n5,E,v\n'

    report, found = golds(store, tmp_path, "a.csv", content)

    assert found == ["x, y", "v"]
    assert codes(report)["TABLE_INVALID"] >= 1
    assert any("further row" in problem.message for problem in report.problems)


def test_lines_within_a_quoted_text_stay_in_it(store, tmp_path):
    content = 'question,answer\nA,"first\nsecond, third"\nB,b\n'

    assert golds(store, tmp_path, "a.csv", content)[1] == ["first\nsecond, third", "b"]


def test_of_two_columns_of_one_name_neither_is_lost(store, tmp_path):
    report, found = golds(store, tmp_path, "a.csv", "question,answer,answer\nA,first,second\nB,one,\n")

    assert found == ["first", "one"]
    assert codes(report)["COLUMN_TWICE"] == 1
    assert [row.columns for row in store.rows("up")] == [{"answer (2)": "second"}, {}]


def test_a_table_without_a_header_is_refused_in_words(store, tmp_path):
    with pytest.raises(UploadRefused) as caught:
        golds(store, tmp_path, "a.csv", "a.png,What?,Red\na.png,And?,Blue\n", **{"a.png": image_bytes()})

    assert [problem.code for problem in caught.value.problems] == ["TABLE_HEADER"]


def workbook(*sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    return book


def as_bytes(book):
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def test_a_workbook_is_read_as_excel_shows_it(store, tmp_path):
    values = ["007", 3, 12.5, 1234.5, 0.125, True, datetime.date(2024, 1, 2), " padded ", "=1+1", 1e20]
    book = workbook(("rows", [["question", "answer"], *[[f"Q{n}", value] for n, value in enumerate(values)]]))
    for row, written in ((4, "0.00"), (5, "#,##0.00"), (6, "0.0%")):
        book["rows"].cell(row, 2).number_format = written

    report, found = golds(store, tmp_path, "a.xlsx", as_bytes(book))

    assert found == ["007", "3", "12.50", "1,234.50", "12.5%", "TRUE", "2024-01-02", " padded ", "1e+20"]
    assert codes(report)["ANSWER_EMPTY"] == 1  # a formula that no program has calculated


def test_the_first_sheet_with_rows_is_read_and_the_others_are_named(store, tmp_path):
    book = workbook(("empty", []), ("rows", [["question", "answer"], [None, None], ["Q", "A"]]), ("notes", [["x"]]))

    report, found = golds(store, tmp_path, "a.xlsx", as_bytes(book))

    assert found == ["A"]
    assert any(problem.code == "SHEETS_UNREAD" and "`notes`" in problem.message for problem in report.problems)


def test_images_are_found_from_a_workbook(store, tmp_path):
    book = workbook(("rows", [["foto", "Frage", "Antwort"], ["a.png", "Was?", "Rot"]]))

    report, found = golds(store, tmp_path, "a.xlsx", as_bytes(book), **{"a.png": image_bytes()})

    assert (found, report.manifest.statistics.images) == (["Rot"], 1)


def test_what_is_no_workbook_or_far_too_large_is_refused(store, tmp_path):
    with pytest.raises(UploadRefused) as caught:
        golds(store, tmp_path, "a.xlsx", b"PK nonsense")
    assert [problem.code for problem in caught.value.problems] == ["WORKBOOK_INVALID"]


@pytest.mark.parametrize("name", ["a.xls", "a.ods", "a.numbers"])
def test_other_workbooks_are_named(store, tmp_path, name):
    with pytest.raises(UploadRefused, match="which is not read") as caught:
        store.import_dataset(folder_of(tmp_path / "up", {name: b"x", "b.png": image_bytes()}), ImportOptions())
    assert ".xlsx" in caught.value.hint
