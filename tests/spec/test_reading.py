"""Specs in and out: YAML, `--set`, and every problem in words at once."""

import pytest

from backend.errors import NotFoundError, SpecError
from backend.recipes.efforts import EFFORTS, with_effort
from backend.recipes.library import RECIPE_OF, load_recipe, recipe_names, recipe_text
from backend.spec.knobs import knobs_of
from backend.spec.reading import KNOBS, apply_settings, spec_from_yaml, spec_to_yaml
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES

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
    others = {"cosine": "linear", "lora": "full", "auto": "fp32", "demo": "elsewhere", "": "a name", False: True}
    changed = 0
    for path, knob in KNOBS.items():
        if path in ("data.datasets", "devices.gpus"):
            continue
        default = knob.field.default
        value = 0.5 if default is None else others.get(default, default) if default in others else default * 2
        value = {"data.seed": 7, "optimiser.max_steps": 5, "saving.every_steps": 5, "devices.threads": 2}.get(
            path, value
        )
        value = {"strategy.lora_dropout": 0.1, "optimiser.weight_decay": 0.1, "optimiser.warmup_ratio": 0.1}.get(
            path, value
        )

        spec = apply_settings(RunSpec(), [f"{path}={value}"])

        assert spec != RunSpec(), path
        changed += 1
    assert changed == len(KNOBS) - 2
    assert apply_settings(RunSpec(), ["devices.gpus=[0, 1]"]).devices.gpus == (0, 1)


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


def test_every_knob_has_words_and_numbers_have_limits():
    for knob in knobs_of(RunSpec):
        assert knob.label, knob.path
        assert len(knob.help) > 10, knob.path
        if knob.field.annotation in (int, float, float | None):
            assert knob.field.metadata, f"{knob.path} has no limits"
