import json
import time
import tracemalloc

import pytest
from dataset_lab import as_bytes, asked, lines_of

from backend.datasets.json_rows import json_rows
from backend.datasets.problems import ProblemList

ROW = {"question": "Q", "answer": "A"}


def read(tmp_path, content, name="rows.json"):
    path = tmp_path / "0001"
    path.write_bytes(as_bytes(content))
    problems = ProblemList()
    records = list(json_rows(path, name, problems))
    return records, {(p.code, p.line) for p in problems.listed()}


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl", "rows.txt"])
def test_u12_lists_and_lines_are_told_apart_whatever_the_file_is_called(tmp_path, name):
    for content in (
        [ROW, ROW],
        lines_of([ROW, ROW]),
        json.dumps([ROW, ROW], indent=2),
        {"version": 1, "data": [ROW, ROW]},
        lines_of([ROW]) + "\n\n" + json.dumps(ROW),
        "\n \n" + json.dumps([ROW, ROW]),
    ):
        records, problems = read(tmp_path, content, name)

        assert [record.content for record in records] == [ROW, ROW]
        assert problems == set()


def test_one_row_alone_is_one_row_in_either_form(tmp_path):
    row = asked(["a.png"]) | {"objects": [{"x": 1}]}

    for content in (json.dumps(row), json.dumps(row, indent=1), [row]):
        assert [record.content for record in read(tmp_path, content)[0]] == [row]


def test_lines_and_elements_are_numbered_as_people_count(tmp_path):
    assert [r.place.line for r in read(tmp_path, "\n" + lines_of([ROW, ROW]))[0]] == [2, 3]
    assert [r.place.line for r in read(tmp_path, [ROW, ROW])[0]] == [1, 2]
    assert str(read(tmp_path, lines_of([ROW, ROW]), "a.jsonl")[0][1].place) == "Line 2 of `a.jsonl`"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
def test_u12_byte_order_marks_and_chinese_encodings_are_read(tmp_path, encoding):
    row = {"question": "这是什么颜色的形状？", "answer": "红色"}

    for content in (json.dumps([row], ensure_ascii=False), lines_of([row, row])):
        records, problems = read(tmp_path, content.encode(encoding))

        assert records[0].content == row
        assert problems == set()


def test_u12_windows_line_ends_and_line_separators_inside_texts(tmp_path):
    row = {"question": "a\u2028b", "answer": "c\u0085d"}

    records, _ = read(tmp_path, lines_of([row, row]).replace("\n", "\r\n"), "a.jsonl")

    assert [record.content for record in records] == [row, row]


def test_u12_a_bad_line_harms_no_other(tmp_path):
    deep, huge = "[" * 100_000, '{"answer": ' + "7" * 5_000 + "}"
    content = "\n".join([json.dumps(ROW), '{"a": 1,}', deep, '"text"', huge, '{"a": nope}', json.dumps(ROW)])

    records, problems = read(tmp_path, content, "a.jsonl")

    assert [record.place.line for record in records] == [1, 5, 7]
    assert records[1].content == {"answer": "7" * 5_000}
    assert problems == {("JSON_INVALID", 2), ("JSON_TOO_DEEP", 3), ("ROW_NOT_OBJECT", 4), ("JSON_INVALID", 6)}


def test_u12_a_bad_first_line_harms_no_other(tmp_path):
    for name in ("a.jsonl", "a.json"):
        records, problems = read(tmp_path, '{"a": 1,}\n' + lines_of([ROW, ROW]), name)

        assert len(records) == 2
        assert problems == {("JSON_INVALID", 1)}


def test_u12_a_trailing_comma_is_named_with_its_line(tmp_path):
    content = '[\n {"question": "Q", "answer": "A"},\n]'

    assert read(tmp_path, content) == ([], {("JSON_INVALID", 3)})


def test_u12_nesting_of_any_depth_is_an_answer_not_a_crash(tmp_path):
    for depth in (100, 400, 900, 1_100, 5_000, 100_000):
        for content in (
            "[" * depth + "]" * depth,
            '[{"answer": ' + "[" * depth + '"\\ud800"' + "]" * depth + "}]",
            '{"a":' * depth + "1" + "}" * depth,
        ):
            records, problems = read(tmp_path, content)

            assert records or problems


def test_u12_nan_and_infinities_count_as_nothing(tmp_path):
    records, _ = read(tmp_path, '[{"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}]')

    assert records[0].content == {"a": None, "b": None, "c": None, "d": 1.5}


def test_u12_doubled_keys_are_reported_and_the_last_counts(tmp_path):
    records, problems = read(tmp_path, '{"answer": "A", "answer": "B"}\n' + lines_of([ROW]))

    assert records[0].content == {"answer": "B"}
    assert problems == {("JSON_DUPLICATE_KEY", 1)}


def test_u12_a_row_of_many_fields_costs_what_it_is_long(tmp_path):
    """Were each field looked for among all others, ten times the fields would take a hundred times as long."""

    def cpu_s(many: int) -> float:
        fields = {f"k{number}": number for number in range(many)} | ROW
        content = json.dumps(fields)[:-1] + ', "answer": "B"}'
        started = time.process_time()
        records, problems = read(tmp_path, content)
        ended = time.process_time()
        assert records[0].content == fields | {"answer": "B"}
        assert problems == {("JSON_DUPLICATE_KEY", 1)}
        return ended - started

    assert cpu_s(60_000) < 40 * min(cpu_s(6_000) for _ in range(3))


@pytest.mark.parametrize(
    ("before", "after", "name", "good"),
    [
        (lines_of([ROW]) + '{"answer": [', "0]}\n" + lines_of([ROW]), "a.jsonl", 2),
        ('[{"answer": [', f"0]}}, {json.dumps(ROW)}]", "a.json", 0),
    ],
    ids=["line", "list"],
)
def test_u20_more_values_than_any_row_has_are_not_built(tmp_path, before, after, name, good):
    path = tmp_path / name
    path.write_text(before + "{}," * 5_000_000 + after)
    problems = ProblemList()

    tracemalloc.start()
    records = list(json_rows(path, name, problems))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(records) == good
    assert [problem.code for problem in problems.listed()] == ["LINE_TOO_LONG"]
    assert "more than 4,000,000 values" in problems.listed()[0].message
    assert most < 150 << 20  # built, they would take 350 MiB


def test_u20_more_values_than_any_dataset_has_in_one_object_are_not_built(tmp_path):
    _, problems = read(tmp_path, '{"data": [' + "0," * 16_000_000 + "0]}")

    assert problems == {("LINE_TOO_LONG", 1)}


def test_u20_one_object_of_more_than_a_quarter_gigabyte_is_not_read(tmp_path):
    path = tmp_path / "a.json"
    with path.open("wb") as sink:
        sink.write(b"{\n")
        sink.truncate(257 << 20)  # a hole: it takes no room
    problems = ProblemList()

    assert list(json_rows(path, "a.json", problems)) == []
    assert [problem.code for problem in problems.listed()] == ["FILE_TOO_LARGE"]


def test_u12_half_characters_are_replaced_and_reported(tmp_path):
    for content in (
        '[{"answer": "x\\ud83dy \\ud83d\\ude00"}]',
        '{"answer": "x\\ud83dy \\ud83d\\ude00"}\n' + lines_of([ROW]),
    ):
        records, problems = read(tmp_path, content)

        assert records[0].content == {"answer": "x\ufffdy \U0001f600"}
        assert problems == {("TEXT_REPAIRED", 1)}


def test_u12_bytes_that_are_no_text_are_reported_with_their_line(tmp_path):
    good = json.dumps({"answer": "红色的圆形在左边"}, ensure_ascii=False).encode()

    records, problems = read(tmp_path, good + b'\n{"answer": "\xff\xfe"}\n' + good + b"\n")

    assert len(records) == 2
    assert problems == {("TEXT_ENCODING", 2)}
    assert read(tmp_path, b'[\n{"answer": "\xff\xfe"}]') == ([], {("TEXT_ENCODING", 2)})


def test_u12_an_empty_file_says_so(tmp_path):
    assert read(tmp_path, " \n\n") == ([], {("FILE_SKIPPED", None)})
    assert read(tmp_path, "[]") == ([], set())


@pytest.mark.long
def test_u12_a_line_of_two_hundred_megabytes_is_read_or_refused(tmp_path):
    text = "x" * (200 << 20)

    whole = read(tmp_path, f'[{{"answer": "a"}}, {{"answer": "{text}"}}]')
    lines = read(tmp_path, f'{json.dumps(ROW)}\n{{"answer": "{text}"}}\n{json.dumps(ROW)}\n')

    assert whole == ([], {("LINE_TOO_LONG", 1)})
    assert [record.place.line for record in lines[0]] == [1, 3]
    assert lines[1] == {("LINE_TOO_LONG", 2)}


def test_u12_a_list_is_read_the_same_wherever_its_chunks_end(tmp_path, monkeypatch):
    rows = [{"answer": "é\\ud83d\\ude00猫" * n, "n": n, "inner": [{"a": [1.5, None, True]}]} for n in range(12)]
    text = json.dumps(rows, indent=1).replace("null", "NaN")

    for size in (1, 2, 3, 7, 64):
        monkeypatch.setattr("backend.datasets.json_text.CHUNK_CHARACTERS", size)
        records, problems = read(tmp_path, text)

        assert [record.content for record in records] == rows
        assert problems == set()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('[\n{"a": 1}\n{"a": 2}]', 3),
        ('[\n{"a": 1},\n{"a": 2}', 3),
        ('[{"a": 1}]\n]', 2),
        ('[\n{"a" 1}]', 2),
        ("[\n\n,]", 3),
        ("[", 1),
    ],
)
def test_u12_a_list_with_wrong_syntax_gives_no_rows_and_the_line(tmp_path, content, line):
    assert read(tmp_path, content) == ([], {("JSON_INVALID", line)})


def test_u12_a_long_list_needs_the_memory_of_a_row(tmp_path):
    with (tmp_path / "long.json").open("w") as sink:
        sink.write("[" + ",\n".join(json.dumps({"answer": "x" * 100_000, "n": n}) for n in range(1_500)) + "]")
    tracemalloc.start()

    count = sum(record.content["n"] >= 0 for record in json_rows(tmp_path / "long.json", "long.json", ProblemList()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 1_500
    assert peak < 20 << 20
