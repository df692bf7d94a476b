"""What ready rewards pay, by hand, and what nobody gets out of them."""

import ast

import pytest

from backend.errors import NotFoundError
from backend.metrics.exact_match import exact_match
from backend.rewards.builtin_library import FOLDER, builtin_names, builtin_source, builtin_summary
from tests.rewards.scoring_lab import load_reward, scores_of

NAMES = [
    "box_iou", "exact_match", "format_tags", "json_fields", "length", "multiple_choice", "number_within_tolerance",
    "ocr_distance",
]  # fmt: skip
GOLDS = {
    "box_iou": "[10, 10, 30, 30]",
    "exact_match": "red",
    "format_tags": "red",
    "json_fields": '{"total": 12.5, "paid": true}',
    "length": "red",
    "multiple_choice": "B",
    "number_within_tolerance": "42",
    "ocr_distance": "Paid in full",
}
OTHERS = {
    "box_iou": "[100, 10, 130, 30]",
    "exact_match": "crimson",
    "json_fields": '{"total": 13.5}',
    "multiple_choice": "D",
    "number_within_tolerance": "17",
    "ocr_distance": "All settled",
}
FILLER = "The image shows what was asked for. "
WORTHLESS = {
    "empty": "",
    "blank": " \n ",
    "tags": "<think></think><answer></answer>",
    "tags around nothing": "<think>\n</think>\n<answer> . </answer>",
    "long": (FILLER * 300)[:10_000],
    "one long word": "a" * 10_000,
    "long in Chinese": "图" * 10_000,
    "numbers": " ".join(map(str, range(3000)))[:10_000],
    "letters": "A B C D E F G H",
    "open braces": "{" * 10_000,
    "open lists": '{"a":' + "[" * 9_990,
}


def test_the_library_holds_what_is_named_here():
    assert builtin_names() == NAMES == sorted(GOLDS)
    assert [builtin_source(name).origin for name in NAMES] == ["library"] * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_says_what_it_pays_and_stands_alone(name):
    tree = ast.parse(builtin_source(name).text)
    imports = {(getattr(node, "module", None) or node.names[0].name).partition(".")[0]
               for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)}  # fmt: skip

    assert builtin_summary(name).text.startswith("Pays ")
    assert imports <= {"json", "math", "re", "rapidfuzz", "typing"}


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(NotFoundError, match="`box_iuo`") as caught:
        builtin_source("box_iuo")
    assert caught.value.hint == "Did you mean `box_iou`?"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_paid_for_what_is_no_answer(name):
    gold = GOLDS[name]

    paid_for = dict(zip(WORTHLESS, scores_of(name, gold, *WORTHLESS.values()), strict=True))

    most = 0.2 if name == "ocr_distance" else 0.0
    honest = {"letters", "open braces", "open lists", "numbers"} if name == "length" else set()
    assert {kind: value for kind, value in paid_for.items() if value > most and kind not in honest} == {}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("between", [" ", "", "\n", ", "])
def test_the_gold_answer_fifty_times_over_pays_next_to_nothing(name, between):
    gold = GOLDS[name]
    (value,) = scores_of(name, gold, between.join([gold] * 50))
    assert value <= 0.03


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"format_tags", "length"}))
def test_an_answer_that_is_as_good_as_the_gold_one_is_paid_as_well(name):
    pay, gold, other = load_reward(builtin_source(name).text), GOLDS[name], OTHERS[name]

    assert pay([other, other, gold], answer=[gold] * 3, references=[[], ["", other], [other]])[1:] == [1.0, 1.0]
    assert pay([other], answer=[gold], references=[[]])[0] < 1


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"format_tags"}))
def test_the_gold_answer_is_paid_in_full_bare_or_in_tags(name):
    gold = GOLDS[name]
    assert scores_of(name, gold, gold, f"<think>Is it A, 7 or [1, 2, 3, 4]?</think>\n<answer>{gold}</answer>") == [
        1.0,
        1.0,
    ]


def test_an_exact_match_is_that_of_the_metric():
    answers = ["red", " RED. ", "dark  red", "red!", "", "the red", "红。"]
    assert scores_of("exact_match", "Red", *answers) == [exact_match("Red", answer) for answer in answers]
    assert scores_of("exact_match", "红", "红。", "红色") == [1.0, 0.0]
    assert scores_of("exact_match", ".", "", ".") == [0.0, 1.0]


@pytest.mark.parametrize(
    ("gold", "given", "value"),
    [
        ("100", "105", 1.0),
        ("100", "105.1", 0.0),
        ("100", "95", 1.0),
        ("-3", "-3.1", 1.0),
        ("-3", "3", 0.0),
        ("−3", "-3", 1.0),
        ("1,234.5", "It costs 1234.5 dollars", 1.0),
        ("12 345", "345", 1.0),  # a space may part two numbers
        ("3,5", "3.5", 1.0),
        ("2e3", "2000", 1.0),
        (".5", "0.5", 1.0),
        ("7", "3 + 4 = 7", 1.0),
        ("7", "7 = 3 + 4", 0.0),
        ("7", "...7.", 1.0),
        ("5%", "5", 1.0),
        ("5%", "0.05", 1.0),
        ("0.05", "5 %", 1.0),
        ("5%", "5 %", 1.0),
        ("5%", "5％", 1.0),
        ("5%", "50 %", 0.0),
        ("0", "0.0", 1.0),
        ("0", "0.001", 0.0),
        ("0", "none", 0.0),
        ("20", "between 10-20", 1.0),
        ("2", "H2O", 0.0),
        ("5", "共5个", 1.0),
        ("5", "1" * 5000, 0.0),
        ("red", "5", None),
        ("1e999", "5", None),
    ],
)
def test_a_number_is_paid_within_five_percent(gold, given, value):
    assert scores_of("number_within_tolerance", gold, given) == [value]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("<think>It is red.</think><answer>red</answer>", 1.0),
        (" <think>a\nb</think>\n\n<answer>red</answer>\n", 1.0),
        ("<answer>red</answer><think>It is red.</think>", 0.0),
        ("<think>x</think> so <answer>red</answer>", 0.0),
        ("<think>x</think><answer>red</answer><answer>red</answer>", 0.0),
        ("<think>x</think><answer></answer>", 0.0),
        ("<think></think><answer>red</answer>", 0.0),
        ("<think>x<answer>red</think></answer>", 0.0),
        ("red", 0.0),
    ],
)
def test_the_form_is_paid_once_and_in_order(given, value):
    assert scores_of("format_tags", "red", given) == [value]


def test_length_is_paid_in_full_to_40_words_and_falls_to_nothing_at_50():
    answers = [" ".join(f"word{i}" for i in range(count)) for count in (1, 40, 41, 45, 49, 50, 90)]
    assert scores_of("length", "red", *answers) == pytest.approx([1, 1, 0.9, 0.5, 0.1, 0, 0])
    assert scores_of("length", "红", "这是一个红色的圆", "1111", "".join(chr(0x4E00 + i) for i in range(45))) == [
        1,
        1,
        0.5,
    ]


JSON_GOLD = '{"shop": "Café  Royal", "total": 12.5, "paid": true, "lines": [1, "a"], "tax": {"rate": 7, "sum": null}}'


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (JSON_GOLD, 1.0),
        (f"```json\n{JSON_GOLD}\n```", 1.0),
        (f"Here it is: {JSON_GOLD}.", 1.0),
        ('{"shop": "café royal", "more": 1}', 1 / 6),
        ('{"shop": "CAFÉ ROYAL", "total": 12.50}', 2 / 6),
        ('{"paid": 1, "total": "12.5"}', 0.0),  # neither is of the kind
        ('{"lines": [1.0, "A"], "tax": {"rate": 7, "sum": 0}}', 2 / 6),
        ('{"tax": {"sum": null}}', 1 / 6),
        ('{"tax": 7}', 0.0),
        ('{"shop": "Bar", "shop": "Café Royal"}', 1 / 6),  # of a field named twice the last counts
        ("{}", 0.0),
        (JSON_GOLD[:-1], 0.0),
        ("[1]", 0.0),
        ("no JSON", 0.0),
    ],
)
def test_json_pays_the_share_of_right_fields(given, value):
    assert scores_of("json_fields", JSON_GOLD, given) == [pytest.approx(value)]


@pytest.mark.parametrize("gold", ["red", "[1, 2]", "{}", "7", ""])
def test_json_does_not_apply_without_a_gold_object(gold):
    assert scores_of("json_fields", gold, '{"a": 1}') == [None]


@pytest.mark.parametrize(
    ("gold", "given", "value"),
    [
        ("[0, 0, 10, 10]", "[0, 0, 10, 10]", 1.0),
        ("[0, 0, 10, 10]", "[5, 0, 15, 10]", 50 / 150),
        ("[0, 0, 10, 10]", "[20, 20, 30, 30]", 0.0),
        ("[0, 0, 10, 10]", '{"bbox_2d": [0, 0, 10, 5], "label": "red"}', 0.5),
        ("[0, 0, 10, 10]", "[0, 0, 10, 10] [0, 0, 10, 10]", 0.5),
        ("[0, 0, 10, 10]", "[10, 10, 0, 0]", 0.0),
        ("[[0, 0, 10, 10], [20, 20, 30, 30]]", "[[20, 20, 30, 30], [0, 0, 10, 10]]", 1.0),
        ("[[0, 0, 10, 10], [20, 20, 30, 30]]", "[0, 0, 10, 10]", 0.5),
        ("[[0, 0, 10, 10], [20, 20, 30, 30]]", "[0, 0, 10, 10] [0, 0, 10, 5]", 0.5),
        ("[0, 0, 10, 10]", "red", 0.0),
        ("[0, 0, 10, 10]", "[1, 2, 3]", 0.0),
        ("red", "[0, 0, 10, 10]", None),
        ("[]", "[0, 0, 10, 10]", None),
    ],
)
def test_boxes_are_paid_by_overlap_and_superfluous_ones_cost(gold, given, value):
    assert scores_of("box_iou", gold, given) == [value if value is None else pytest.approx(value)]


def test_a_spam_of_boxes_pays_next_to_nothing():
    grid = " ".join(f"[{x}, {y}, {x + 20}, {y + 20}]" for x in range(0, 200, 10) for y in range(0, 200, 10))
    (value,) = scores_of("box_iou", "[10, 10, 30, 30]", grid)
    assert value == pytest.approx(1 / 400)


def test_text_is_paid_by_edit_distance():
    assert scores_of("ocr_distance", "Total 12", "Total 12", "Total  12\n", "Total 13", "total 12", "", "xyz") == (
        pytest.approx([1, 1, 7 / 8, 7 / 8, 0, 0])
    )
    assert scores_of("ocr_distance", "", "", "something") == [1.0, 0.0]


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("B", 1.0),
        ("b", 1.0),
        ("(B)", 1.0),
        ("B.", 1.0),
        ("B. a cat", 1.0),
        ("The answer is B.", 1.0),
        ("Answer: **B**", 1.0),
        ("A is too small, so the correct answer is B", 1.0),
        (r"\boxed{B}", 1.0),
        ("答案是B", 1.0),
        ("选B", 1.0),
        ("A", 0.0),
        ("A B C D", 0.0),
        ("A, B, C or D", 0.0),
        ("The answer is A. The answer is B.", 0.0),
        ("ABCD", 0.0),
        ("Because", 0.0),
        ("B B B B", 0.0),
    ],
)
def test_one_letter_is_chosen(given, value):
    assert scores_of("multiple_choice", "B", given) == [value]


def test_the_gold_letter_is_read_from_its_option_too():
    assert scores_of("multiple_choice", "B. a cat", "B", "A") == [1.0, 0.0]
    assert scores_of("multiple_choice", "red", "B") == [None]


def test_every_file_of_the_folder_is_tested_here():
    assert sorted(path.stem for path in FOLDER.glob("*.py")) == ["__init__", *NAMES]
