"""T7: what is saved is loaded again whole, also by plain transformers and peft in a fresh process."""

import json
import subprocess
import sys

import pytest
import torch
from saving_lab import changed_model

from backend.catalog.checkpoints import read_record, resolve_checkpoint
from backend.conversation import Message
from backend.errors import CheckpointError, NotFoundError
from backend.settings import Workspace
from backend.spec.sampling import SamplingParameters

pytestmark = pytest.mark.torch

STRATEGIES = ("full", "lora", "vit_only", "lora_llm_full_vit")
PLAIN = """
import json, os, sys
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration
base, batch, *folders = sys.argv[1:]
inputs = torch.load(batch, weights_only=True)
for folder in folders:
    kind = json.load(open(folder + "/complete.json"))["kind"]
    processor = AutoProcessor.from_pretrained(folder)
    model, said = Qwen2_5_VLForConditionalGeneration.from_pretrained(
        folder if kind == "model" else base, dtype=torch.float32, output_loading_info=True)
    assert not said["missing_keys"] and not said["unexpected_keys"], said
    if kind == "adapter":
        if os.path.exists(folder + "/vision.safetensors"):
            missing, unexpected = model.load_state_dict(load_file(folder + "/vision.safetensors"), strict=False)
            assert not unexpected
        model = PeftModel.from_pretrained(model, folder)
    with torch.no_grad():
        torch.save(model.eval()(**inputs, use_cache=False).logits, folder + ".out")
    size = processor.image_processor.size
    told = {"size": [size["shortest_edge"], size["longest_edge"]]}
    print(json.dumps(told | {"use_cache": model.config.get_text_config().use_cache}))
"""


def test_t7_a_saved_checkpoint_gives_the_same_logits_in_a_fresh_process(untrained, encoder, images, tmp_path):
    """Of each way of training one; all are loaded by one process that knows nothing of this project."""
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.model.packing import pack

    turns = (Message(role="user", content="<image>What?"), Message(role="assistant", content="A circle."))
    batch = pack([encoder.encode(turns, images[:1])])
    del batch["shift_labels"], batch["logits_to_keep"]
    torch.save(batch, tmp_path / "batch.pt")
    expected = {}
    for strategy in STRATEGIES:
        model, spec = changed_model(untrained, strategy)
        with torch.no_grad():
            expected[strategy] = model(**batch, use_cache=False).logits
        save_checkpoint(model, encoder, spec, tmp_path / strategy, step=7)

    folders = [str(tmp_path / strategy) for strategy in STRATEGIES]
    argv = [sys.executable, "-c", PLAIN, str(untrained), str(tmp_path / "batch.pt"), *folders]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert told == [{"size": [4 * 784, 64 * 784], "use_cache": True}] * len(STRATEGIES)
    for strategy in STRATEGIES:
        assert (torch.load(tmp_path / f"{strategy}.out", weights_only=True) - expected[strategy]).abs().max() < 1e-5


@pytest.mark.parametrize("strategy", ["lora", "lora_llm_full_vit"])
def test_t7_chat_gives_the_logits_that_training_left(strategy, untrained, encoder, images, tmp_path):
    from transformers import DynamicCache

    from backend.programs.model.adapters import ModelHost
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.model.generation import first_logits

    model, spec = changed_model(untrained, strategy)
    save_checkpoint(model, encoder, spec, tmp_path / "output" / "final_model", step=7)
    sample = encoder.encode((Message(role="user", content="<image>What?"),), images[:1], for_answer=True)
    expected = first_logits(model, sample, DynamicCache())
    checkpoint = resolve_checkpoint(str(tmp_path / "output" / "final_model"), Workspace(tmp_path))
    host = ModelHost(checkpoint.base_folder)
    with host.active_with_vision(host.prepare(resolve_checkpoint(str(untrained), Workspace(tmp_path)))) as base:
        before = first_logits(base, sample, DynamicCache())

    with host.active_with_vision(host.prepare(checkpoint)) as adapted:
        after = first_logits(adapted, sample, DynamicCache())
    with host.active_with_vision("") as base:
        again = first_logits(base, sample, DynamicCache())

    assert (after - expected).abs().max() < 1e-4
    assert again.equal(before)
    assert not after.equal(before)


@pytest.mark.parametrize("second", ["lora", "lora_llm_full_vit", "vision adapters"])
def test_two_adapters_of_one_base_each_speak_for_themselves(second, untrained, encoder, images, tmp_path):
    from transformers import DynamicCache

    from backend.programs.model.adapters import ModelHost
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.model.generation import first_logits

    sample = encoder.encode((Message(role="user", content="<image>What?"),), images[:1], for_answer=True)
    expected = {}
    for name, strategy, seed in (("one", "lora_llm_full_vit", 5), ("two", second, 6)):
        model, spec = changed_model(untrained, strategy, seed)
        save_checkpoint(model, encoder, spec, tmp_path / "output" / name, step=7)
        expected[name] = first_logits(model, sample, DynamicCache())
    assert not expected["one"].equal(expected["two"])
    host = ModelHost(untrained)

    for name in ("one", "two", "one", "two"):
        checkpoint = resolve_checkpoint(str(tmp_path / "output" / name), Workspace(tmp_path))
        with host.active_with_vision(host.prepare(checkpoint)) as adapted:
            assert (first_logits(adapted, sample, DynamicCache()) - expected[name]).abs().max() < 1e-4


def test_c3_a_cut_off_checkpoint_is_refused_by_the_file_that_lacks(untrained, encoder, tmp_path):
    from backend.programs.model.checkpoint import save_checkpoint

    model, spec = changed_model(untrained, "lora")
    folder = tmp_path / "final_model"
    save_checkpoint(model, encoder, spec, folder, step=1)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])

    with pytest.raises(CheckpointError, match=r"`adapter_model\.safetensors`"):
        read_record(folder)


def test_c1_a_failed_save_leaves_the_old_checkpoint(untrained, encoder, tmp_path, monkeypatch):
    from backend.programs.model import checkpoint

    model, spec = changed_model(untrained, "lora")
    folder = tmp_path / "final_model"
    checkpoint.save_checkpoint(model, encoder, spec, folder, step=1)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "write_processor", full_disk)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save_checkpoint(model, encoder, spec, folder, step=2)

    assert read_record(folder).step == 1
    assert [path.name for path in tmp_path.iterdir()] == ["final_model"]


@pytest.mark.parametrize("reference", ["no-such-run", "../../etc", "demo2", "Qwen/Qwen2.5-VL-3B-Instruct"])
def test_what_is_not_there_is_not_found(reference, tmp_path):
    with pytest.raises((NotFoundError, CheckpointError), match=r"`.*`"):
        resolve_checkpoint(reference, Workspace(tmp_path))


def test_generation_one_token_at_a_time_is_transformers_greedy_generation(untrained, encoder, images):
    from transformers import DynamicCache

    from backend.programs.model.generation import choose, first_logits, next_logits
    from backend.programs.model.loading import choose_precision, load_base

    model = load_base(untrained, choose_precision("fp32")).eval()
    sample = encoder.encode((Message(role="user", content="<image>What?"),), images[1:2], for_answer=True)
    expected = model.generate(
        input_ids=sample.input_ids[None],
        attention_mask=torch.ones(1, sample.tokens, dtype=torch.long),
        mm_token_type_ids=sample.token_types[None],
        pixel_values=sample.patches,
        image_grid_thw=sample.grids,
        max_new_tokens=12,
        do_sample=False,
        eos_token_id=-1,
    )[0, sample.tokens :].tolist()

    sampling, chance, cache = SamplingParameters(), torch.Generator(), DynamicCache()
    made = [choose(first_logits(model, sample, cache), sampling, chance)]
    while len(made) < 12:
        made.append(choose(next_logits(model, sample, cache, made[-1], len(made)), sampling, chance))

    assert made == expected
