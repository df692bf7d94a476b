"""Specs in and out: YAML, `--set`, and every problem in words at once."""

import json

import pytest

from backend.errors import NotFoundError, SpecError
from backend.recipes.library import EFFORTS, RECIPE_OF, load_recipe, recipe_names, recipe_text, with_effort
from backend.spec.files import KNOBS, apply_settings, spec_from_yaml, spec_to_yaml
from backend.spec.knobs import knobs_of
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES
from tests.knob_values import NEEDED, OTHER_VALUES

SEED_NAMES = {
    "full_finetune", "lora", "qlora_advanced", "vit_only", "llm_only", "lora_llm_full_vit", "qlora_multi_dataset",
}  # fmt: skip


def test_the_seeds_recipes_are_there_one_for_each_strategy():
    assert set(recipe_names()) >= SEED_NAMES
    assert set(RECIPE_OF) == set(STRATEGIES)
    assert {load_recipe(name).spec.strategy.name for name in recipe_names()} == set(STRATEGIES)


def test_every_recipe_goes_to_yaml_and_back():
    for name in recipe_names():
        spec = load_recipe(name).spec

        assert spec_from_yaml(spec_to_yaml(spec), source=name) == spec
        assert "demo_datasets" in recipe_text(name)


def test_every_knob_can_be_set_from_text():
    assert set(OTHER_VALUES) == set(KNOBS)

    for path, value in OTHER_VALUES.items():
        base = RunSpec().with_values(NEEDED.get(path, {}))

        spec = apply_settings(base, [f"{path}={json.dumps(value)}"])

        assert spec != base, path


CLASHES = {
    "qlora and ZeRO-3": (["strategy.name=qlora", "devices.zero_stage=3"], "cannot split 4-bit weights"),
    "DoRA and ZeRO-3": (["strategy.dora=true", "devices.zero_stage=3"], "measures whole weights"),
    "vision adapters, ZeRO-3, checkpointing": (
        ["strategy.lora_vision=true", "devices.zero_stage=3", "batching.gradient_checkpointing=true"],
        "loses the gradients",
    ),
    "vision adapters on a trained tower": (
        ["strategy.name=lora_llm_full_vit", "strategy.lora_vision=true"], "trains the vision tower in full already",
    ),
    "vision adapters without adapters": (["strategy.name=full", "strategy.lora_vision=true"], "adds no adapters"),
    "DoRA without adapters": (["strategy.name=vit_only", "strategy.dora=true"], "adds no adapters"),
    "rsLoRA without adapters": (["strategy.name=llm_only", "strategy.rslora=true"], "adds no adapters"),
    "offloading what is not spread": (["devices.offload_optimizer=true"], "needs `devices.zero_stage` 2 or 3"),
    "offloading whole weights": (
        ["devices.zero_stage=2", "devices.offload_parameters=true"], "needs `devices.zero_stage` 3",
    ),
    "GPUs and CPU processes": (["devices.gpus=[0]", "devices.processes=2"], "one for each GPU"),
    "a budget and padding": (["batching.max_tokens=4096", "batching.packing=false"], "fills packed rows"),
    "a budget below a sample": (["batching.max_tokens=1024"], "raise the one or lower the other"),
    "patience without evaluations": (["evaluation.patience=2"], "needs evaluations on the way"),
    "the best without evaluations": (["saving.final=best"], "needs evaluations on the way"),
    "an override of a knob": (
        ['devices.deepspeed={"zero_optimization": {"stage": 1}}'], "set `devices.zero_stage` instead",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLASHES)
def test_settings_that_cannot_work_together_are_refused_with_the_reason(name):
    settings, reason = CLASHES[name]

    with pytest.raises(SpecError, match=reason.replace("(", r"\(")):
        apply_settings(RunSpec(), settings)


def test_clashes_are_told_all_at_once():
    settings = ["strategy.name=qlora", "devices.zero_stage=3", "batching.max_tokens=100", "evaluation.patience=1"]

    with pytest.raises(SpecError) as caught:
        apply_settings(RunSpec(), settings)

    assert all(word in caught.value.message for word in ("4-bit", "`batching.max_tokens`", "`evaluation.patience`"))


@pytest.mark.parametrize(("text", "value"), [("1e-4", 1e-4), ("1E-3", 1e-3), ("0.5", 0.5), ("1", 1.0)])
def test_rates_are_read_as_people_write_them(text, value):
    assert apply_settings(RunSpec(), [f"optimiser.language_rate={text}"]).optimiser.language_rate == value


def test_all_unknown_knobs_are_named_with_the_nearest():
    with pytest.raises(SpecError) as caught:
        apply_settings(RunSpec(), ["batching.batchsize=4", "lora_rank=8", "nonsense"])

    assert "did you mean `batching.batch_size`" in caught.value.message
    assert "did you mean `strategy.lora_rank`" in caught.value.message
    assert "`nonsense` is not knob=value" in caught.value.message


def test_all_refused_values_are_named_with_the_value():
    with pytest.raises(SpecError) as caught:
        apply_settings(RunSpec(), ["batching.batch_size=0", "optimiser.epochs=many", "strategy.name=lorra"])

    assert "`batching.batch_size` is `0`" in caught.value.message
    assert "`optimiser.epochs` is `many`" in caught.value.message
    assert "`strategy.name` is `lorra`" in caught.value.message


def test_pixel_bounds_must_be_in_order():
    with pytest.raises(SpecError, match=r"`model\.min_pixels` is 100,000, above `model\.max_pixels` of 50,000"):
        apply_settings(RunSpec(), ["model.min_pixels=100000", "model.max_pixels=50000"])


def test_a_dataset_may_be_named_once():
    with pytest.raises(SpecError, match="names `a` twice"):
        spec_from_yaml("data: {datasets: [{name: a}, {name: a, weight: 2}]}", source="x.yaml")


@pytest.mark.parametrize("text", ["[1, 2", "strategy: {name: lora, extra: 1}", "- a\n- b", "data: 7"])
def test_wrong_yaml_is_a_message_with_a_hint(text):
    with pytest.raises(SpecError, match=r"x\.yaml") as caught:
        spec_from_yaml(text, source="x.yaml")
    assert caught.value.hint


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(NotFoundError, match="`lorra`") as caught:
        load_recipe("lorra")
    assert "`lora`" in caught.value.hint


def test_efforts_scale_the_passes():
    epochs = [with_effort(load_recipe("lora").spec, effort).optimiser.epochs for effort in EFFORTS]
    assert epochs == sorted(epochs)
    assert epochs[1] == load_recipe("lora").spec.optimiser.epochs


def test_efforts_leave_few_and_odd_passes_what_they_are():
    few = load_recipe("lora").spec.with_values({"optimiser.epochs": 0.0125})

    assert with_effort(few, "balanced") == few
    assert with_effort(few, "quick").optimiser.epochs == pytest.approx(0.0125 / 3, rel=0.01)
    with pytest.raises(SpecError, match="`best` would make 1800 passes"):
        with_effort(few.with_values({"optimiser.epochs": 900.0}), "best")


def test_every_knob_has_words_and_numbers_have_limits():
    for knob in knobs_of(RunSpec):
        assert knob.label, knob.path
        assert len(knob.help) > 10, knob.path
        if knob.field.annotation in (int, float, float | None):
            assert knob.field.metadata, f"{knob.path} has no limits"
