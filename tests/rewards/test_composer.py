"""A composed reward pays what its parts pay, says so, and stands alone."""

import ast
import itertools
import math

import pytest

from backend.errors import SpecError
from backend.rewards.builtin_library import library_names, library_source
from backend.rewards.composition import Part, compose, payment, sentence
from backend.rewards.lint import lint, wants_text
from tests.rewards.paid_lab import loaded, paid, paid_by

ANSWERS = [
    "B", "(B) because", "42", "41", "[0, 0, 10, 10]", "[0, 0, 5, 10]", '{"a": 1}', '{"a": 1, "b": 3}', "",
    "<think>Is it A?</think><answer>B</answer>", "<think></think><answer></answer>", "word " * 45, "B " * 50,
]  # fmt: skip
GOLDS = ["B", "42", "[0, 0, 10, 10]", '{"a": 1, "b": 2}']
EVERYTHING = [Part(name, 0.5 + i) for i, name in enumerate(library_names())]
PAIRS = [[Part(a, 1.0), Part(b, 0.2)] for a, b in itertools.combinations(library_names(), 2)]
SINGLES = [[Part(name, 2.0)] for name in library_names()]


@pytest.mark.parametrize("parts", [EVERYTHING, *PAIRS, *SINGLES], ids=lambda parts: "+".join(p.name for p in parts))
def test_the_whole_pays_the_weighted_sum_of_its_parts_and_lints_clean(parts):
    text = compose(parts)

    assert lint(text) == []
    assert wants_text(text)
    for gold in GOLDS:
        separately = {part.name: paid(part.name, gold, *ANSWERS) for part in parts}
        for i, entry in enumerate(paid_by(text, gold, *ANSWERS)):
            values = {name: values[i] for name, values in separately.items()}
            known = {part.name: part.weight * values[part.name] for part in parts if values[part.name] is not None}
            if known:
                assert entry == {"overall": pytest.approx(sum(known.values())), **values}
            else:
                assert entry is None


def test_a_part_that_does_not_apply_is_absent_from_the_sum():
    text = compose([Part("box_iou", 1), Part("multiple_choice", 0.5)])

    assert paid_by(text, "B", "B") == [{"overall": 0.5, "box_iou": None, "multiple_choice": 1.0}]
    assert paid_by(text, "red", "red") == [None]


@pytest.mark.parametrize("name", library_names())
def test_what_renaming_relies_on_holds_for_every_ready_reward(name):
    tree = ast.parse(library_source(name).text)
    bound = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    bound |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    own = {node.id for each in functions for node in ast.walk(each)
           if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip
    own |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    kinds = (ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef)

    assert not own & bound
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    assert all(isinstance(node, kinds) for node in tree.body)
    assert tree.body[-1].end_lineno == len(library_source(name).text.splitlines())


def test_every_name_of_the_whole_is_bound_once_and_shared_helpers_are_there_once():
    tree = ast.parse(compose(EVERYTHING))
    bound = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    bound += [target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets]

    assert len(bound) == len(set(bound)) > 30
    assert {"reward", "exact_match_reward", "_final", "_repeats", "TOLERANCE", "_length_pay"} <= set(bound)


def test_the_weights_can_be_edited_in_the_text():
    text = compose([Part("exact_match", 1), Part("length", 0.2)])

    assert '    "length": 0.2,\n' in text
    edited = text.replace('"length": 0.2', '"length": 3.0').replace("SOFT_LIMIT = 40", "SOFT_LIMIT = 0")
    assert paid_by(edited, "red", "red")[0] == {"overall": pytest.approx(1 + 3 * 0.98), "exact_match": 1.0,
                                                "length": 0.98}  # fmt: skip


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([Part("exact_match", 1)], "Pays 1 for an exact match."),
        ([Part("box_iou", 2.5)], "Pays up to 2.5 for boxes that overlap the gold ones."),
        (
            [Part("exact_match", 1), Part("length", 0.2)],
            "Pays 1 for an exact match, plus up to 0.2 for at most 40 words; at most 1.2 in all.",
        ),
        (
            [Part("length", -0.2), Part("exact_match", 1), Part("format_tags", 0.1)],
            "Pays 1 for an exact match, plus 0.1 for the asked form, minus up to 0.2 for at most 40 words; "
            "between -0.2 and 1.1 in all.",
        ),
        (
            [Part("exact_match", -1), Part("length", -0.5)],
            "Takes away 1 for an exact match, and up to 0.5 for at most 40 words; at most 1.5 in all.",
        ),
    ],
)
def test_a_sentence_says_what_is_paid(parts, said):
    assert sentence(parts) == said
    assert said in " ".join(compose(parts).partition('"""\n\n')[0].split())


def test_the_sentence_comes_as_numbers_too():
    found = payment([Part("length", -0.2), Part("exact_match", 1)])

    assert [(term.name, term.weight, term.is_graded) for term in found.terms] == [
        ("exact_match", 1, False), ("length", -0.2, True)
    ]  # fmt: skip
    assert (found.least, found.most) == (-0.2, 1)


def test_everything_wrong_is_said_at_once():
    parts = [Part("exact_mach", 1), Part("length", 0), Part("length", math.nan), Part("box_iou", 1001)]

    with pytest.raises(SpecError) as caught:
        compose(parts)

    assert caught.value.message == (
        "No ready reward is called `exact_mach`; `length` is there twice; `length` has a weight of `0`; "
        "`length` has a weight of `nan`; `box_iou` has a weight of `1001`"
    )
    assert caught.value.hint == "Did you mean `exact_match`?"


def test_nothing_is_composed_of_nothing():
    with pytest.raises(SpecError, match="No part is chosen"):
        sentence([])


def test_the_text_runs_without_the_studio():
    assert "backend" not in compose(EVERYTHING)
    assert loaded(compose(EVERYTHING))(completions=[], answer=[]) == []
