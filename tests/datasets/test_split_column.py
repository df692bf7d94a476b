"""A row's own word for its part: which columns count, and what becomes of values that name none."""

import pytest

from backend.datasets.split_column import SplitColumns, SplitReading, marks_of
from backend.datasets.turns import RowFault


def reading_of(column: str, values: list[object], file: str = "rows.json") -> SplitReading:
    """What the values of one column of one file tell."""
    columns = SplitColumns()
    for value in values:
        columns.count(file, marks_of({"question": "Q", column: value}))
    return columns.reading()


@pytest.mark.parametrize(
    "column",
    ["split", "@split", "Split", "data split", "partition", "set", "subset", "set_name", "phase", "usage", "fold"],
)
def test_a_column_whose_values_are_parts_is_the_split(column):
    reading = reading_of(column, ["train", "val2017", "testA"])

    assert reading.columns == (column,)
    parts = [reading.split_of("rows.json", ((column, value),), "train") for value in ("train", "val2017", "testA")]
    assert parts == ["train", "validation", "test"]
    assert reading.notices == (f"Read in `{column}`: `val2017` as validation, `testA` as test",)


def test_a_row_s_own_word_goes_before_its_file_s_name():
    reading = reading_of("split", ["train", "test"])

    assert reading.split_of("val.json", (("split", "test"),), "validation") == "test"
    assert reading.split_of("val.json", (), "validation") == "validation"


def test_an_unknown_or_blank_value_is_refused_and_counted():
    reading = reading_of("split", ["train", "train", "test", "gold", "gold", "fold 3", ""])

    assert reading.notices == ("3 rows left out: `split` names no part of the dataset there: `gold` (2), `fold 3` (1)",)
    with pytest.raises(RowFault, match="Its `split` is `gold`"):
        reading.split_of("rows.json", (("split", "gold"),), "train")
    with pytest.raises(RowFault, match="Its `split` is blank"):
        reading.split_of("rows.json", (), None)
    assert reading.split_of("other.json", (), None) is None


@pytest.mark.parametrize("values", [["gold", "silver"], [1, 2, 3], ["default"]])
def test_a_column_without_any_part_is_not_the_split_and_that_is_told(values):
    reading = reading_of("split", values)

    assert reading.columns == ()
    assert reading.notices[0].startswith("`split` was not taken for the split of the rows: its values are ")
    assert reading.split_of("rows.json", (("split", str(values[0])),), None) is None


def test_a_likely_column_counts_only_where_most_rows_name_several_parts():
    assert reading_of("subset", ["train"] * 3 + ["dev", "gold"]).columns == ("subset",)
    assert reading_of("subset", ["chart", "photo", "test"]).columns == ()
    assert "`test` (1)" in reading_of("subset", ["chart", "photo", "test"]).notices[0]
    assert reading_of("set", ["coco", "flickr"]) == ((), frozenset(), ())
    assert reading_of("usage", ["test strip", "urine test"]).columns == ()


def test_valid_beside_invalid_is_no_part():
    assert reading_of("set", ["valid", "invalid"]).columns == ()
    assert reading_of("split", ["train", "valid"]).columns == ("split",)


def test_training_with_validation_rows_is_told():
    notices = reading_of("split", ["train", "trainval", "restval", "test"]).notices

    assert notices[-1] == "Rows with validation rows among them, all taken for training: `trainval` (1), `restval` (1)"


def test_a_column_that_a_person_named_is_the_split_whatever_it_holds():
    columns = SplitColumns("gruppe")
    columns.count("rows.json", marks_of({"gruppe": "A", "split": "train"}, "gruppe"))

    with pytest.raises(RowFault, match="Its `gruppe` is `A`"):
        columns.reading().split_of("rows.json", (("gruppe", "A"),), None)
