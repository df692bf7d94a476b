"""What a model folder from elsewhere may bring, and what it may not; all of it found before torch is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from model_lab import NUMBERS, adapter_folder, changed_json, model_folder, safetensors, write_index

from backend.catalog.checkpoints import resolve_checkpoint
from backend.catalog.download import add_model
from backend.catalog.model_folder import inspect, read_config
from backend.errors import CheckpointError, NotFoundError
from backend.settings import DEMO_MODEL, ROOT


def test_a_sound_model_is_taken_in_one_file_or_several(tmp_path, workspace):
    for number, shards in enumerate((False, True)):
        folder = model_folder(tmp_path / f"model-{number}", shards=shards)

        assert resolve_checkpoint(str(folder), workspace).folder == folder
        assert add_model(folder, "", workspace) == f"model-{number}"
        assert resolve_checkpoint(f"model-{number}", workspace).folder == folder


def test_the_model_that_ships_has_nothing_against_it():
    assert inspect(DEMO_MODEL, "model").faults == ()
    assert read_config(DEMO_MODEL)["model_type"] == "qwen2_5_vl"


def test_c4_weights_as_pickles_are_refused(tmp_path, refused):
    for name in ("pytorch_model.bin", "model.pt", "weights.pth", "model.ckpt", "model.PKL"):
        folder = model_folder(tmp_path / name)
        (folder / "model.safetensors").rename(folder / name)

        said = refused(folder)

        assert f"holds its weights as pickles (`{name}`)" in said
        assert "safetensors" in said


def test_c4_a_pickle_beside_sound_weights_is_told_and_left_alone(tmp_path, workspace):
    folder = model_folder(tmp_path / "model")
    (folder / "optimizer.pt").write_bytes(b"\x80\x04 never read")

    resolve_checkpoint(str(folder), workspace)

    assert inspect(folder, "model").notes == ("`optimizer.pt` is a pickle and will not be read",)


def test_c4_an_index_that_lists_pickles_is_refused(tmp_path, refused):
    folder = model_folder(tmp_path / "model", shards=True)
    (folder / "model-2.safetensors").rename(folder / "model-2.bin")
    write_index(folder, {"first": "model-1.safetensors", "rest": "model-2.bin"})

    assert "names `model-2.bin`, which is no safetensors file" in refused(folder)


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"\x80\x04\x95", b"\x80\x02}q\x00"])
def test_c4_a_pickle_by_the_name_of_safetensors_is_refused(head, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(head + bytes(5_000))

    assert "pickle" in refused(folder)


def test_c4_nothing_of_torch_is_imported_to_refuse_it(tmp_path):
    folder = model_folder(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))
    ask = (
        "import sys; from pathlib import Path\n"
        "from backend.catalog.checkpoints import resolve_checkpoint; from backend.settings import Workspace\n"
        "try: resolve_checkpoint(sys.argv[1], Workspace(Path(sys.argv[2])))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print([name for name in ('torch', 'transformers', 'peft', 'safetensors') if name in sys.modules])"
    )

    argv = [sys.executable, "-c", ask, str(folder), str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.split("\n")[:2] == ["CheckpointError", "[]"]


CODE = {
    "config.json": {"auto_map": {"AutoModel": "modeling.Model"}},
    "tokenizer_config.json": {"auto_map": {"AutoTokenizer": ["tok.Tok", None]}},
    "processor_config.json": {"image_processor": {"deep": [{"trust_remote_code": True}]}},
    "preprocessor_config.json": {"auto_map": {"AutoImageProcessor": "images.Images"}},
    "generation_config.json": {"trust_remote_code": 1},
}


@pytest.mark.parametrize("name", CODE)
def test_c5_a_text_that_asks_for_code_is_refused(name, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    content = json.loads((folder / name).read_text()) if (folder / name).is_file() else {}
    (folder / name).write_text(json.dumps(content | CODE[name]))

    said = refused(folder)

    assert f"in {name})" in said
    assert "runs no code" in said


@pytest.mark.parametrize("name", ["modeling_evil.py", "sub/deep/more.py", "kernel.so", "x.PYC"])
def test_c5_code_in_a_folder_is_refused_and_not_run(name, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")

    assert f"brings code (`{name}`)" in refused(folder)
    assert not (tmp_path / "ran").exists()


def test_c5_a_no_to_code_and_a_trainers_notes_are_no_code(tmp_path, workspace):
    folder = model_folder(tmp_path / "model")
    (folder / "preprocessor_config.json").write_text('{"auto_map": {}}')
    (folder / "generation_config.json").write_text('{"trust_remote_code": false}')
    (folder / "trainer_state.json").write_text('{"best_metric": NaN, "trust_remote_code": true}')
    (folder / "args.json").write_text('["no table"]')

    assert resolve_checkpoint(str(folder), workspace).folder == folder


@pytest.mark.parametrize("where", [{}, {"text_config": {}}])
def test_c6_a_config_may_not_point_to_other_weights(where, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    pointer = {"transformers_weights": "../../elsewhere.safetensors"}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(
        json.dumps(config | ({"text_config": config["text_config"] | pointer} if where else pointer))
    )

    assert "points to other weights (`transformers_weights` in config.json)" in refused(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_c6_adapters_beside_a_whole_model_are_refused(name, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / name).write_bytes(b"{}" if name.endswith("json") else safetensors({"lora": 4}))

    assert f"holds adapters beside a whole model (`{name}`)" in refused(folder)


def test_c5_a_token_of_that_name_is_no_code(tmp_path, workspace):
    folder = model_folder(tmp_path / "model")
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {"auto_map": 1}}}))

    assert resolve_checkpoint(str(folder), workspace).folder == folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"model_type": "llava"}, "`llava` model"), ({"model_type": None}, "`None` model"),
     ({"model_type": ["qwen2_5_vl"]}, "model"), ({"architectures": ["Evil"]}, "Evil"),
     ({"architectures": "x"}, "architecture"),
     ({"quantization_config": {"quant_method": "awq"}}, "fewer bits (`awq`)")],
)  # fmt: skip
def test_c5_another_architecture_is_refused(changes, said, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    changed_json(folder / "config.json", **changes)

    assert said in refused(folder)


ABSURD = {
    "num_hidden_layers": (-1, 0, 10**9, 1.5, "4", True, None, [3], {"x": 1}, 10**400),
    "hidden_size": (0, 10**7), "vocab_size": (-32, 10**12), "num_key_value_heads": (0, 3, 10**6),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ABSURD.items() for value in values])
def test_c4_absurd_numbers_are_refused_by_name(key, value, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    content = json.loads((folder / "config.json").read_text())
    content["text_config"][key] = value
    (folder / "config.json").write_text(json.dumps(content))

    assert key in refused(folder) or "come out even" in refused(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"depth": 10**6}, "vision_config.depth"), ({"patch_size": 16}, "not 14"), ({"spatial_merge_size": 0}, "not 2"),
     ({"num_heads": -4}, "vision_config.num_heads"), ({"out_hidden_size": "8"}, "out_hidden_size")],
)  # fmt: skip
def test_c4_absurd_numbers_of_the_tower_are_refused_by_name(changes, said, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    changed_json(folder / "config.json", vision_config=changes)

    assert said in refused(folder)


@pytest.mark.parametrize("content", ["[]", "7", "null", "{", '{"a": NaN}', '"' + "x" * 10, "[" * 100_000, "\ufeff{}"])
def test_c4_a_config_that_is_none_is_refused(content, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / "config.json").write_text(content)

    assert "config.json" in refused(folder)


def test_c4_a_config_larger_than_its_weights_is_refused_before_it_is_built(tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    changed_json(folder / "config.json", text_config={"num_hidden_layers": 900})

    assert f"the weights hold {NUMBERS:,}" in refused(folder)


@pytest.mark.parametrize(
    "place", ["../secret.safetensors", "/etc/passwd", "sub/model-2.safetensors", "..", "", "a\\b.safetensors", "x\0y"]
)
def test_c6_an_index_names_files_of_its_folder_only(place, tmp_path, refused):
    folder = model_folder(tmp_path / "model", shards=True)
    (tmp_path / "secret.safetensors").write_bytes(safetensors({"rest": NUMBERS}))
    write_index(folder, {"first": "model-1.safetensors", "rest": place})

    said = refused(folder)

    assert "outside the folder" in said or "is no safetensors file" in said


@pytest.mark.parametrize("places", [{}, {"first": 7}, {"first": None}, {"first": ["model-1.safetensors"]}])
def test_c6_an_index_that_is_none_is_refused(places, tmp_path, refused):
    folder = model_folder(tmp_path / "model", shards=True)
    write_index(folder, places)

    assert "without a `weight_map`" in refused(folder)


def test_c3_c6_a_missing_shard_and_a_missing_tensor_are_named(tmp_path, refused):
    folder = model_folder(tmp_path / "model", shards=True)
    write_index(folder, {"first": "model-1.safetensors", "rest": "model-2.safetensors", "more": "model-1.safetensors"})
    (folder / "model-2.safetensors").unlink()

    said = refused(folder)

    assert "lacks `model-2.safetensors`" in said
    assert "its `model-1.safetensors` lacks the tensor `more`" in said


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "chat_template.jinja", "sub"])
def test_c6_a_link_out_of_the_folder_is_refused(name, tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    outside = tmp_path / "elsewhere" / "file"
    outside.parent.mkdir()
    outside.write_bytes((folder / name).read_bytes() if (folder / name).is_file() else b"x")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside.parent if name == "sub" else outside)

    assert f"has the link `{name}`, which leads out of the folder" in refused(folder)


def test_c6_links_that_lead_nowhere_or_to_no_file_are_refused(tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    (folder / "round.json").symlink_to(folder / "round.json")
    os.mkfifo(folder / "generation_config.json")  # reading one would wait for ever

    said = refused(folder)

    assert "`round.json`, which leads nowhere" in said
    assert "`generation_config.json`, which is no plain file" in said


def test_c6_a_download_in_the_hub_s_own_layout_is_taken(tmp_path, workspace, refused):
    cache = tmp_path / "models--Qwen--Small"
    plain = model_folder(tmp_path / "plain")
    (cache / "blobs").mkdir(parents=True)
    snapshot = cache / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    for number, path in enumerate(sorted(plain.iterdir())):
        path.rename(cache / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")

    assert resolve_checkpoint(str(snapshot), workspace).folder == snapshot
    (snapshot / "extra.json").symlink_to(workspace.output)
    assert "leads out of the folder" in refused(snapshot)


def test_c6_a_folder_that_only_looks_like_the_hub_s_reaches_nothing_beside_it(tmp_path, refused):
    snapshot = model_folder(tmp_path / "home" / "snapshots" / "0123abc")
    (tmp_path / "home" / "blobs").mkdir()
    (tmp_path / "home" / "blobs" / "secret").write_text("{}")
    (snapshot / "vocab.json").symlink_to("../../blobs/secret")

    assert "`vocab.json`, which leads out of the folder" in refused(snapshot)


def test_everything_against_a_folder_is_said_at_once(tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    changed_json(folder / "config.json", auto_map={"AutoModel": "m.M"}, text_config={"num_hidden_layers": -3})
    (folder / "m.py").write_text("")
    (folder / "model.safetensors").write_bytes(b"short")

    said = refused(folder)

    for part in ("`auto_map` in config.json", "`m.py`", "`num_hidden_layers` to `-3`", "it has 5 bytes"):
        assert part in said


def test_a_second_look_costs_nothing_until_a_file_changes(tmp_path):
    folder = model_folder(tmp_path / "model")
    first = inspect(folder, "model")

    assert inspect(folder, "model") is first
    (folder / "m.py").write_text("")
    assert [fault.text for fault in inspect(folder, "model").faults] == ["brings code (`m.py`)"]


def test_an_adapter_on_a_model_that_has_a_name_is_taken(tmp_path, workspace):
    folder = adapter_folder(tmp_path / "adapter")

    found = resolve_checkpoint(str(folder), workspace)

    assert (found.adapter, found.base_folder) == (folder, DEMO_MODEL)


@pytest.mark.parametrize("base", ["/etc", "../..", "models", "{tmp}/model", "~/model"])
def test_c6_an_adapter_from_elsewhere_names_no_folder_as_its_base(base, tmp_path, refused):
    model_folder(tmp_path / "model")
    folder = adapter_folder(tmp_path / "adapter", base.format(tmp=tmp_path))

    assert "is not of this workspace and stands on the folder" in refused(folder)


def test_c6_an_adapter_on_itself_or_with_two_bases_is_refused(tmp_path, workspace, refused):
    folder = adapter_folder(workspace.output / "run" / "final_model", str(workspace.output / "run" / "final_model"))
    assert "was trained on the adapter" in refused(folder)

    other = adapter_folder(tmp_path / "other", "demo", base_model_name_or_path="/etc/passwd")
    assert "names `/etc/passwd`" in refused(other)


def test_c5_the_base_of_an_adapter_is_looked_at_each_time_too(tmp_path, workspace, refused):
    base = model_folder(tmp_path / "model")
    add_model(base, "mine", workspace)
    adapter = adapter_folder(tmp_path / "adapter", "mine")
    assert resolve_checkpoint(str(adapter), workspace).base_folder == base

    (base / "modeling.py").touch()

    assert "`model` cannot be used: brings code (`modeling.py`)" in refused(adapter)


ODD_ADAPTERS = {
    "peft_type": ("PREFIX_TUNING", None, ["LORA"]),
    "target_modules": (None, [], "(a+)+$", [3], ["a/b"], {"x": 1}, "all-linear", [["q_proj"]]),
    "modules_to_save": (["embed_tokens"], "lm_head", {"x": 1}),
    "r": (0, -1, 10**9, "4", None, True, 1e400),
    "lora_alpha": ("x", -5, [1]),
    "init_lora_weights": ("pissa", "corda", {}),
    "megatron_config": ({"x": 1},),
    "auto_mapping": ({"parent_library": "os"},),
    "layers_pattern": ("(a+)+",),
    "rank_pattern": ({"(a+)+$": 3},),
    "loftq_config": ({"bits": 4},),
    "note": ("x" * 1000,),
}


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in ODD_ADAPTERS.items() for value in values])
def test_c6_an_adapter_that_is_not_plain_lora_is_refused(key, value, tmp_path, refused):
    folder = adapter_folder(tmp_path / "adapter", **{key: value})

    said = refused(folder)

    assert key in said or "LoRA" in said or "adapter_config.json" in said


def test_c4_an_adapter_whose_weights_are_a_pickle_is_refused(tmp_path, refused):
    folder = adapter_folder(tmp_path / "adapter")
    changed_json(folder / "complete.json", sizes=None)
    record = json.loads((folder / "complete.json").read_text()) | {"sizes": {}}
    (folder / "complete.json").write_text(json.dumps(record))
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")

    said = refused(folder)

    assert "pickles (`adapter_model.bin`)" in said
    assert "lacks `adapter_model.safetensors`" in said


def test_an_adapter_without_a_record_says_what_it_is(tmp_path, refused):
    folder = adapter_folder(tmp_path / "adapter")
    (folder / "complete.json").unlink()

    assert "is an adapter without `complete.json`" in refused(folder)


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "a/../../b", "", "x\0"])
def test_c6_a_record_names_files_of_its_folder_only(name, tmp_path, refused):
    folder = adapter_folder(tmp_path / "adapter")
    changed_json(folder / "complete.json", sizes={name: 5})

    assert "`adapter/complete.json` cannot be read" in refused(folder)


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", "not json", '{"weight_map": 3}', '{"weight_map": {"a": []}}',
     '{"weight_map": {"a": "../elsewhere.safetensors"}}'],
)  # fmt: skip
def test_c6_a_broken_download_is_as_good_as_none(content, workspace):
    name = "Qwen/Qwen2.5-VL-3B-Instruct"
    folder = workspace.models / "qwen-qwen2-5-vl-3b-instruct"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors.index.json").write_text(content)
    (workspace.models / "elsewhere.safetensors").touch()

    with pytest.raises(Exception, match="is not on this machine"):
        resolve_checkpoint(name, workspace)


def test_a_folder_of_anything_is_refused_quickly(tmp_path, refused):
    folder = model_folder(tmp_path / "model")
    for number in range(5_001):
        (folder / f"{number}.txt").touch()

    assert "holds more than 5,000 files" in refused(folder)


def test_what_is_added_is_looked_at_too(tmp_path, workspace):
    folder = model_folder(tmp_path / "model")
    Path(folder / "evil.py").write_text("")

    with pytest.raises(CheckpointError, match=r"`evil\.py`"):
        add_model(folder, "mine", workspace)
    assert not list(workspace.models.iterdir())


@pytest.mark.parametrize("name", ["../evil", "demo", "here-already", ".hidden", "a/b", "-rf", "Upper"])
def test_c6_a_name_that_is_taken_or_a_path_is_no_name_for_a_model(name, tmp_path, workspace):
    folder = model_folder(tmp_path / "model")
    (workspace.models / "here-already").mkdir()

    with pytest.raises(NotFoundError, match=f"`{name}` cannot be the model's name"):
        add_model(folder, name, workspace)

    assert [path.name for path in workspace.models.iterdir()] == ["here-already"]
    assert not list(workspace.output.glob("*.path"))
