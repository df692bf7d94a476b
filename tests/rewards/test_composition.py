"""A composed reward pays what its parts pay, says so, and stands alone."""

import ast
import itertools
import math
import textwrap
from pathlib import Path

import pytest

from backend.errors import SpecError
from backend.rewards.builtin_library import builtin_names, builtin_source
from backend.rewards.composition import RewardPart, compose
from backend.rewards.lint import lint, wants_text
from tests.rewards.reward_lab import batch, scored
from tests.rewards.scoring_lab import load_reward, scores_by, scores_of

EARLIER = Path(__file__).with_name("composed_by_an_earlier_version.txt")  # exact_match x 1, length x 0.2
ANSWERS = [
    "B", "(B) because", "42", "41", "[0, 0, 10, 10]", "[0, 0, 5, 10]", '{"a": 1}', '{"a": 1, "b": 3}', "",
    "<think>Is it A?</think><answer>B</answer>", "<think></think><answer></answer>", "word " * 45, "B " * 50,
]  # fmt: skip
GOLDS = ["B", "42", "[0, 0, 10, 10]", '{"a": 1, "b": 2}']
EVERYTHING = [RewardPart(name, 0.5 + i) for i, name in enumerate(builtin_names())]
PAIRS = [[RewardPart(a, 1.0), RewardPart(b, 0.2)] for a, b in itertools.combinations(builtin_names(), 2)]
SINGLES = [[RewardPart(name, 2.0)] for name in builtin_names()]


@pytest.mark.parametrize("parts", [EVERYTHING, *PAIRS, *SINGLES], ids=lambda parts: "+".join(p.name for p in parts))
def test_the_whole_pays_the_weighted_sum_of_its_parts_and_lints_clean(parts):
    text = compose(parts)

    assert lint(text) == []
    assert wants_text(text)
    for gold in GOLDS:
        separately = {part.name: scores_of(part.name, gold, *ANSWERS) for part in parts}
        for i, entry in enumerate(scores_by(text, gold, *ANSWERS)):
            values = {name: values[i] for name, values in separately.items()}
            known = {part.name: part.weight * values[part.name] for part in parts if values[part.name] is not None}
            if known:
                assert entry == {"overall": pytest.approx(sum(known.values())), **values}
            else:
                assert entry is None


def test_a_part_that_does_not_apply_is_absent_from_the_sum():
    text = compose([RewardPart("box_iou", 1), RewardPart("multiple_choice", 0.5)])

    assert scores_by(text, "B", "B") == [{"overall": 0.5, "box_iou": None, "multiple_choice": 1.0}]
    assert scores_by(text, "red", "red") == [None]


@pytest.mark.parametrize("name", builtin_names())
def test_a_built_in_reward_may_be_indented_to_the_body_of_a_function(name):
    text = builtin_source(name).text
    inside = ast.parse(f"def {name}():\n" + textwrap.indent(text, " " * 4)).body[0]

    assert without_docstrings(inside) == without_docstrings(ast.parse(text))
    assert not [node for node in ast.walk(inside) if isinstance(node, ast.Global)]


def without_docstrings(tree: ast.AST) -> list[str]:
    """What the statements of a module or function are, whatever their docstrings look like."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body.pop(0)
    return [ast.dump(node) for node in tree.body]


PAID_BY_AN_EARLIER_VERSION = [  # by what its composer wrote for these weights
    ("42", "42", 2.6),
    ("42", "<think>6 x 7</think><answer>41</answer>", 1.05),
    ("42", "word " * 45, 0.0),
    ("[0, 0, 10, 10]", "[0, 0, 5, 10]", 2.307142857142857),
    ('{"a": 1, "b": "x"}', '{"a": 1, "b": 3}', 0.425),
    ("B", "(B)", 0.4),
    ("B", "", 0.0),
]
WEIGHTS = {
    "number_within_tolerance": 1, "box_iou": 2.5, "multiple_choice": 0.5, "length": -0.2, "format_tags": 0.1,
    "json_fields": 0.75, "ocr_distance": 0.3, "exact_match": 1.5,
}  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "value"), PAID_BY_AN_EARLIER_VERSION)
def test_a_composition_pays_what_an_earlier_version_paid_for_it(gold, answer, value):
    (entry,) = scores_by(compose([RewardPart(*part) for part in WEIGHTS.items()]), gold, answer)

    assert entry["overall"] == value
    assert list(entry) == ["overall", *WEIGHTS]


def test_what_an_earlier_version_composed_still_runs_and_pays_the_same():
    text = EARLIER.read_text(encoding="utf-8")
    composed = compose([RewardPart("exact_match", 1), RewardPart("length", 0.2)])

    assert lint(text) == []
    for gold in GOLDS:
        assert scores_by(text, gold, *ANSWERS) == scores_by(composed, gold, *ANSWERS)


def test_the_weights_can_be_edited_in_the_text():
    text = compose([RewardPart("exact_match", 1), RewardPart("length", 0.2)])

    assert '    "length": 0.2,\n' in text
    edited = text.replace('"length": 0.2', '"length": 3.0').replace("SOFT_LIMIT = 40", "SOFT_LIMIT = 0")
    assert scores_by(edited, "red", "red")[0] == {"overall": pytest.approx(1 + 3 * 0.98), "exact_match": 1.0,
                                                "length": 0.98}  # fmt: skip


def test_everything_wrong_is_said_at_once():
    parts = [
        RewardPart("exact_mach", 1),
        RewardPart("length", 0),
        RewardPart("length", math.nan),
        RewardPart("box_iou", 1001),
    ]

    with pytest.raises(SpecError) as caught:
        compose(parts)

    assert caught.value.message == (
        "No ready reward is called `exact_mach`; `length` is there twice; `length` has a weight of `0`; "
        "`length` has a weight of `nan`; `box_iou` has a weight of `1001`"
    )
    assert caught.value.hint == "Did you mean `exact_match`?"


def test_nothing_is_composed_of_nothing():
    with pytest.raises(SpecError, match="No part is chosen"):
        compose([])


def test_the_text_runs_without_the_studio():
    assert "backend" not in compose(EVERYTHING)
    assert load_reward(compose(EVERYTHING))(completions=[], answer=[]) == []


def test_the_worker_scores_a_composition_part_by_part():
    text = compose([RewardPart("number_within_tolerance", 2), RewardPart("length", 0.25)])

    scores = scored(text, batch("42", "It is 41", "B", answer=["42", "7", "red"]))

    assert scores.failure is None
    assert scores.values == (2.25, 0.25, 0.25)
    assert scores.parts == {"length": (1.0, 1.0, 1.0), "number_within_tolerance": (1.0, 0.0, None)}
