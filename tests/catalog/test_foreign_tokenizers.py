"""C10: a tokenizer or a text of a model from elsewhere that would hold a library up is refused before one reads it."""

import json

import pytest
from model_lab import TOKENIZER, changed_json, model_folder

from backend.catalog.checkpoints import resolve_checkpoint
from backend.catalog.model_files import PATTERN
from backend.settings import DEMO_MODEL

SPLIT = {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
DOUBLING = {"type": "Replace", "pattern": {"String": "o"}, "content": "oo"}
STAGES = {
    "normalizer": "normalizers", "pre_tokenizer": "pretokenizers", "post_processor": "processors", "decoder": "decoders"
}  # fmt: skip


def nested(stage, levels):
    part = {"type": "NFC"} if stage == "normalizer" else BYTES
    for _ in range(levels):
        part = {"type": "Sequence", STAGES[stage]: [part]}
    return {stage: part}


def folder_with(tmp_path, **parts):
    folder = model_folder(tmp_path / "model")
    (folder / "tokenizer.json").write_text(json.dumps(TOKENIZER | parts))
    return folder


@pytest.mark.parametrize("stage", STAGES)
def test_c10_a_hundred_steps_within_each_other_are_named_and_not_built(stage, tmp_path, refused):
    said = refused(folder_with(tmp_path, **nested(stage, 100)))

    assert "has a tokenizer.json that is nested more than 64 deep" in said


@pytest.mark.parametrize("stage", STAGES)
def test_c10_more_steps_than_the_family_has_are_refused(stage, tmp_path, refused):
    inner = [{"type": "NFC"} if stage == "normalizer" else BYTES] * 17

    said = refused(folder_with(tmp_path, **{stage: {"type": "Sequence", STAGES[stage]: inner}}))

    assert f"puts texts through more than 16 steps (`{stage}` in tokenizer.json)" in said
    assert "belongs to Qwen2.5-VL" in said


def test_c10_steps_that_grow_a_text_are_refused_by_their_name(tmp_path, refused):
    doubling = {"type": "Sequence", "normalizers": [DOUBLING] * 4}
    decoder = {"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}

    said = refused(folder_with(tmp_path, normalizer=doubling, decoder=decoder, post_processor="Nonsense"))

    for kind, stage in (("Replace", "normalizer"), ("Replace", "decoder"), ("Nonsense", "post_processor")):
        assert f"puts texts through `{kind}` (`{stage}` in tokenizer.json)" in said


def test_c10_a_pattern_that_may_look_for_ever_is_refused(tmp_path, refused):
    cut = {"type": "Sequence", "pretokenizers": [SPLIT | {"pattern": {"Regex": "(a+)+$"}}, BYTES]}

    said = refused(folder_with(tmp_path, pre_tokenizer=cut))

    assert "cuts texts by a pattern of its own, `{'Regex': '(a+)+$'}` (`pre_tokenizer` in tokenizer.json)" in said


@pytest.mark.parametrize("model", [None, {}, {"type": "Unigram"}, {"type": "WordPiece", "vocab": {}}, ["BPE"]])
def test_c10_a_tokenizer_of_another_kind_is_refused(model, tmp_path, refused):
    assert "is not of the kind BPE" in refused(folder_with(tmp_path, model=model))


def test_a_tokenizer_that_cuts_the_same_text_in_several_ways_is_refused(tmp_path, refused):
    assert "another way each time" in refused(folder_with(tmp_path, model=TOKENIZER["model"] | {"dropout": 0.1}))


def test_the_familys_own_steps_are_taken(tmp_path, workspace):
    steps = {
        "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [SPLIT, BYTES]},
        "post_processor": BYTES, "decoder": BYTES, "truncation": {"max_length": 512}, "padding": None,
    }  # fmt: skip
    folder = folder_with(tmp_path, **steps)

    assert resolve_checkpoint(str(folder), workspace).folder == folder
    theirs = json.loads((DEMO_MODEL / "tokenizer.json").read_text())
    assert (theirs["normalizer"], theirs["pre_tokenizer"]["pretokenizers"][0]) == ({"type": "NFC"}, SPLIT)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "processor_config.json"])
def test_c10_a_text_nested_deeper_than_any_library_writes_is_refused(name, tmp_path, refused):
    folder, deep = model_folder(tmp_path / "model"), "x"
    for _ in range(70):
        deep = {"a": [deep]}
    (folder / name).touch()
    changed_json(folder / name, extra=deep) if name == "config.json" else (folder / name).write_text(json.dumps(deep))

    assert f"has a {name} that is nested more than 64 deep" in refused(folder)


def test_c10_a_text_of_more_than_its_share_is_not_read(tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / "vocab.json").write_bytes(b"{}" + b" " * (64 << 20))

    assert "has no readable vocab.json" in refused(folder)
