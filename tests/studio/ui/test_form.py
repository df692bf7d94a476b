"""The form shows every knob of the spec and reads every one back."""

from typing import Literal, get_args, get_origin

import pytest

from backend.errors import SpecError
from backend.recipes.library import load_recipe
from backend.recipes.preview import value_at
from backend.spec.files import KNOBS
from backend.spec.knobs import RunKind
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES, STRATEGY_NAMES
from studio.ui.form import ADVANCED, WEIGHTED, Form, advanced_values, changed_knobs, draw, from_component, to_component
from studio.ui.i18n import LANGUAGES, catalogue, translator
from tests.knob_values import NEEDED, OTHER_VALUES

BASE = load_recipe("lora_llm_full_vit").spec  # every part is trained, so every knob is in use
PAID = load_recipe("grpo").spec.with_values({"strategy.name": "lora_llm_full_vit"})


def base_for(path: str) -> RunSpec:
    """A run that reads this knob."""
    return (PAID if path.startswith("grpo.") else BASE).with_values(NEEDED.get(path, {}))


def drawn(base: RunSpec = BASE, language: str = "en") -> Form:
    t = translator(language)
    return Form({path: draw(path, base, t) for path in ADVANCED}, t)


def typed(form: Form, spec: RunSpec) -> list:
    """What the browser sends back for a form that shows `spec`, through each component's own conversion."""
    return [
        component.preprocess(component.postprocess(value))
        for component, value in zip(form.inputs, advanced_values(spec), strict=True)
    ]


def test_the_trial_values_cover_every_knob():
    assert set(OTHER_VALUES) == set(KNOBS)


@pytest.mark.parametrize("path", OTHER_VALUES)
def test_a_knob_survives_the_way_to_its_component_and_back(path):
    base = (BASE if path.startswith("optimiser") else RunSpec()).with_values(NEEDED.get(path, {}))
    spec = base.with_values({path: OTHER_VALUES[path]})

    back = from_component(KNOBS[path], to_component(KNOBS[path], value_at(spec, path)))

    assert base.with_values({path: back}) == spec
    assert spec != base


@pytest.mark.parametrize("path", ADVANCED)
def test_the_drawn_form_reads_back_what_it_shows(path):
    base = base_for(path)
    form = drawn(base)
    spec = base.with_values({path: OTHER_VALUES[path]})

    reading = form.read(base, typed(form, spec))

    assert reading == (spec, ())
    assert changed_knobs(base, reading.spec_or_raise(form.t)) == [path]


def test_every_problem_is_said_at_once_with_the_label_the_person_sees():
    form = drawn()
    values = dict(zip(ADVANCED, typed(form, BASE), strict=True))
    values |= {"optimiser.epochs": 0, "batching.batch_size": None, "saving.keep": 2.5, "devices.gpus": "0, one"}

    reading = form.read(BASE, list(values.values()))

    assert {problem.path: problem.sentence for problem in reading.problems} == {
        "optimiser.epochs": "Epochs: must be more than 0",
        "batching.batch_size": "Batch size: is empty",
        "saving.keep": "Checkpoints kept: must be a whole number",
        "devices.gpus": "GPUs: `one` is not a number",
    }
    with pytest.raises(SpecError, match="Epochs: must be more than 0; Batch size"):
        reading.spec_or_raise(form.t)


def test_the_verdict_stands_beside_each_field():
    form = drawn()
    values = dict(zip(ADVANCED, typed(form, BASE), strict=True)) | {"saving.keep": 0}

    verdicts = dict(zip(ADVANCED, form.check(BASE, list(values.values())), strict=True))

    assert not verdicts["saving.keep"]["is_valid"]
    assert verdicts["saving.keep"]["message"] == "must be at least 1"
    assert sum(not verdict["is_valid"] for verdict in verdicts.values()) == 1


def test_two_knobs_that_clash_are_a_problem_of_no_single_field():
    form = drawn()
    values = dict(zip(ADVANCED, typed(form, BASE), strict=True))
    values |= {"model.min_pixels": 784 * 64, "model.max_pixels": 784 * 16}

    (problem,) = form.read(BASE, list(values.values())).problems

    assert problem.path == ""
    assert "12,544" in problem.sentence


def test_a_knob_that_the_strategy_does_not_use_cannot_change_the_run():
    base = load_recipe("vit_only").spec
    form = drawn(base)
    values = dict(zip(ADVANCED, typed(form, base), strict=True))
    values |= {"strategy.lora_rank": 64, "optimiser.language_rate": 0.5}

    assert form.read(base, list(values.values())).spec == base


@pytest.mark.parametrize("name", STRATEGY_NAMES)
def test_a_rate_is_offered_exactly_where_its_part_is_trained(name):
    table = STRATEGIES[name]

    for part in ("vision", "merger", "language"):
        assert KNOBS[f"optimiser.{part}_rate"].is_read(table) == (table.how(part) != "frozen")
    assert KNOBS["strategy.lora_rank"].is_read(table) == table.uses_lora


@pytest.mark.parametrize("path", sorted(WEIGHTED))
@pytest.mark.parametrize("hostile", [None, 5, "x", {"name": 1}, [[1]], ["shapes"], [{"chosen": True}]])
def test_w7_a_made_up_choice_is_refused_in_words_and_never_crashes(hostile, path):
    form = Form({path: None}, translator("en"))

    reading = form.read(PAID, [hostile])

    assert reading.spec is None
    assert reading.problems[0].path == path


def test_a_knob_of_another_kind_of_learning_cannot_change_the_run():
    shown, paid = drawn(), drawn(PAID)
    values = dict(zip(ADVANCED, typed(shown, BASE), strict=True)) | {"grpo.generations": 3, "grpo.beta": -1}
    more = dict(zip(ADVANCED, typed(paid, PAID), strict=True)) | {"batching.max_tokens": 4096}

    assert shown.read(BASE, list(values.values())).spec == BASE
    assert paid.read(PAID, list(more.values())).spec == PAID


def test_what_each_kind_of_run_reads():
    read = {
        kind: {path for path, knob in KNOBS.items() if knob.is_read(PAID.table, kind)} for kind in get_args(RunKind)
    }

    of_evaluations = {path for path in KNOBS if path.startswith("comparison.")}
    assert not [path for path in read["sft"] if path.startswith("grpo.") or path in of_evaluations]
    assert set(KNOBS) - read["grpo"] == {"batching.max_tokens", "grpo.check_rows"} | of_evaluations
    assert of_evaluations < read["evaluation"]
    assert not [path for path in read["evaluation"] if path.startswith(("optimiser.", "strategy.", "evaluation."))]
    assert {"grpo.check_rows", "grpo.rewards", "model.base"} <= read["reward_check"]
    assert not [path for path in read["reward_check"] if path.startswith(("optimiser.", "strategy.", "saving."))]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_knob_and_every_choice_has_its_words(language):
    strings = catalogue(language)

    for path, knob in KNOBS.items():
        assert strings[f"knob.{path}.label"]
        assert strings[f"knob.{path}.help"]
        if knob.unit:
            assert strings[f"unit.{knob.unit}"]
        if get_origin(knob.field.annotation) is Literal and knob.advanced:
            for choice in get_args(knob.field.annotation):
                assert strings[f"choice.{path}.{choice}"]


def test_a_chinese_form_speaks_chinese():
    form = drawn(language="zh")
    values = dict(zip(ADVANCED, typed(form, BASE), strict=True)) | {"optimiser.epochs": 0}

    assert form.components["optimiser.epochs"].label == "训练轮数（遍）"
    (problem,) = form.read(BASE, list(values.values())).problems
    assert problem == ("optimiser.epochs", "必须大于 0", "训练轮数：必须大于 0")
