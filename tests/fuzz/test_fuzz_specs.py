"""Specs from any text or value: a spec that goes to YAML and JSON and back, or every problem in words."""

import json
import random
from typing import Any

import pytest
import yaml
from fuzzing import fuzz, said_plainly, scalars, texts, values
from hypothesis import event, given
from hypothesis import strategies as st

from backend.errors import SpecError
from backend.spec.files import KNOBS, apply_settings, read_spec, spec_from, spec_from_yaml, spec_to_yaml
from backend.spec.run import RunSpec
from tests.knob_values import OTHER_VALUES

PATHS = sorted(KNOBS)


def settings_of() -> st.SearchStrategy[str]:
    """One `--set`: a knob with a good, an odd or a random value; or anything."""
    good = st.sampled_from(PATHS).map(lambda path: f"{path}={json.dumps(OTHER_VALUES[path])}")
    odd = st.tuples(st.sampled_from(PATHS), st.one_of(texts(), scalars().map(str), values().map(repr)))
    return st.one_of(good, odd.map("=".join), texts(40))


def contents() -> st.SearchStrategy[Any]:
    """What a YAML file may hold: sections with knobs, or nearly."""
    sections = sorted({path.partition(".")[0] for path in PATHS})
    knobs = sorted({path.rpartition(".")[2] for path in PATHS})
    value = st.one_of(st.sampled_from(list(OTHER_VALUES.values())), values())
    section = st.one_of(st.dictionaries(st.one_of(st.sampled_from(knobs), texts(8)), value, max_size=5), value)
    return st.one_of(st.dictionaries(st.one_of(st.sampled_from(sections), texts(8)), section, max_size=5), values())


def goes_round(spec: RunSpec, tmp_path: Any) -> None:
    assert spec_from_yaml(spec_to_yaml(spec), source="again") == spec
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    assert read_spec(tmp_path) == spec


@fuzz(120)
@given(st.lists(settings_of(), max_size=6))
def test_any_settings_make_a_spec_or_are_refused_in_words(tmp_path, given_settings):
    with said_plainly():
        goes_round(apply_settings(RunSpec(), given_settings), tmp_path)
        event("taken")


@fuzz(120)
@given(contents(), st.booleans(), st.integers(0, 2**32))
def test_any_content_makes_a_spec_or_is_refused_in_words(tmp_path, content, as_json, seed):
    with said_plainly():
        goes_round(spec_from(content, source="content"), tmp_path)
        event("taken")
    try:
        text = json.dumps(content) if as_json else yaml.safe_dump(content, allow_unicode=True)
    except (yaml.YAMLError, ValueError):
        return
    if seed % 3 == 0 and text:
        place = random.Random(seed).randrange(len(text))
        text = text[:place] + text[place + 1 + seed % 5 :]
    with said_plainly():
        goes_round(spec_from_yaml(text, source="text"), tmp_path)


@fuzz(120)
@given(st.one_of(texts(200), st.binary(max_size=100).map(lambda raw: raw.decode("latin-1"))))
def test_any_text_makes_a_spec_or_is_refused_in_words(tmp_path, text):
    with said_plainly():
        goes_round(spec_from_yaml(text, source="text"), tmp_path)
    (tmp_path / "spec.json").write_text(text, errors="replace")
    with said_plainly():
        read_spec(tmp_path)


def test_what_fuzzing_found_stays_refused():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    for text in ("name: 2001-99-99", "name: !!int x", "name: !!int ''", "name: !!timestamp x", "name: !!bool x",
                 "[" * 50_000, "- " * 40_000, "? " * 900, "a: &a [*a]", bomb, "name: " + "9" * 5_000, "x" * 2_000_000,
                 "\n".join(f"k{n}: 1" for n in range(5_000))):  # fmt: skip
        with pytest.raises(SpecError) as caught:
            spec_from_yaml(text, source="text")
        assert len(caught.value.message) < 10_000
    for value in ("2001-99-99", "!!int x", "!!bool x", "[" * 5_000):
        with said_plainly():
            apply_settings(RunSpec(), [f"data.seed={value}", f"name={value}"])
