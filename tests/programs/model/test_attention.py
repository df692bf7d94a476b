"""Our attention computes what plain transformers computes, packed or padded, and builds no mask for a packed row."""

import json

import pytest
import torch

from backend.conversation import Message

pytestmark = pytest.mark.torch

TOLERANCE = 1e-4


def plain_model(untrained, attention: str = "sdpa"):
    from transformers import Qwen2_5_VLForConditionalGeneration

    return Qwen2_5_VLForConditionalGeneration.from_pretrained(
        untrained, dtype=torch.float32, attn_implementation=attention
    )


def our_model(untrained):
    from backend.programs.model.loading import choose_precision, load_base

    return load_base(untrained, choose_precision("fp32"))


def with_adapters(model):
    from backend.programs.model.parts import apply_strategy
    from backend.spec.run import RunSpec

    torch.manual_seed(3)
    model = apply_strategy(model, RunSpec().with_values({"strategy.name": "lora_llm_full_vit"}))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # they start at zero, which would hide them
            torch.nn.init.normal_(parameter, std=0.05)
    model.enable_input_require_grads()
    return model


@pytest.fixture
def samples(encoder, images):
    shown = [
        (images[:1], "What is it?", "A red circle."),
        ([], "Say hello.", "Hello."),
        (images[1:], "Why?", "So."),
    ]
    return [
        encoder.encode(
            (
                Message(role="user", content="<image>" * len(seen) + question),
                Message(role="assistant", content=answer),
            ),
            seen,
        )
        for seen, question, answer in shown
    ]


def learned(model, batches) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The logits of all batches, one after the other, and the gradients of their summed loss."""
    model.zero_grad()
    logits = []
    for batch in batches:
        inputs = dict(batch)
        targets = inputs.pop("shift_labels")
        made = model(**inputs, use_cache=False).logits[0]
        torch.nn.functional.cross_entropy(made, targets, reduction="sum").backward()
        logits.append(made.detach())
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return torch.cat(logits), gradients


def assert_same(ours, plain) -> None:
    assert (ours[0] - plain[0]).abs().max() < TOLERANCE
    assert ours[1].keys() == plain[1].keys()
    for name, gradient in ours[1].items():
        assert torch.allclose(gradient, plain[1][name], atol=TOLERANCE, rtol=1e-3), name


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_a_packed_row_learns_what_plain_transformers_learns_from_its_samples(
    untrained, samples, kind, checkpointing, attention
):
    from backend.programs.model.packing import pack

    ours, plain = our_model(untrained), plain_model(untrained, attention)
    if kind == "lora":
        ours, plain = with_adapters(ours), with_adapters(plain)
    if checkpointing:
        ours.gradient_checkpointing_enable({"use_reentrant": False})

    packed = learned(ours.train(), [pack(samples)])

    assert_same(packed, learned(plain.train(), [pack([sample]) for sample in samples]))


def test_a_packed_row_that_only_has_positions_is_kept_apart_too(untrained, samples):
    from backend.programs.model.packing import pack

    batch = {name: value for name, value in pack(samples).items() if not name.startswith(("cu_", "max_"))}

    assert_same(learned(our_model(untrained), [batch]), learned(plain_model(untrained), [batch]))


def test_no_mask_is_built_for_a_packed_row(untrained, samples, monkeypatch):
    from transformers import AttentionInterface

    from backend.programs.model.attention import TEXT, attend_samples
    from backend.programs.model.packing import pack

    model, seen = our_model(untrained), []

    def spy(module, query, key, value, attention_mask, **asked):
        seen.append((attention_mask, asked["cu_seq_lens_q"].tolist()))
        return attend_samples(module, query, key, value, attention_mask, **asked)

    monkeypatch.setitem(AttentionInterface._global_mapping, TEXT, spy)
    learned(model, [pack(samples)])

    first, second, third = (sample.tokens for sample in samples)
    assert seen == [(None, [0, first, first + second, first + second + third])] * 4


def test_the_tower_sees_what_the_plain_tower_sees(untrained, samples):
    patches = torch.cat([sample.patches for sample in samples])
    grids = torch.cat([sample.grids for sample in samples])

    ours = our_model(untrained).model.visual(patches, grids).pooler_output

    assert (ours - plain_model(untrained).model.visual(patches, grids).pooler_output).abs().max() < TOLERANCE


def test_every_block_of_the_tower_gets_all_its_windows_in_one_call(untrained, samples, monkeypatch):
    from transformers import AttentionInterface

    from backend.programs.model.attention import VISION, attend_windows

    model, windows = our_model(untrained), []

    def spy(*tensors, **asked):
        windows.append(len(asked["cu_seq_lens_q"]) - 1)
        return attend_windows(*tensors, **asked)

    monkeypatch.setitem(AttentionInterface._global_mapping, VISION, spy)
    model.model.visual(samples[2].patches, samples[2].grids)

    assert len(windows) == 3
    assert windows[0] > 2  # windows of 112 px
    assert windows[1:] == [2, 2]  # whole images


def padded(samples, side: str) -> dict[str, torch.Tensor]:
    longest = max(sample.tokens for sample in samples)

    def rows(values, fill: int) -> torch.Tensor:
        filled = [torch.full((longest - len(value),), fill) for value in values]
        joined = [
            (fill, value) if side == "left" else (value, fill) for value, fill in zip(values, filled, strict=True)
        ]
        return torch.stack([torch.cat(both) for both in joined])

    return {
        "input_ids": rows([sample.input_ids for sample in samples], 0),
        "attention_mask": rows([torch.ones(sample.tokens, dtype=torch.long) for sample in samples], 0),
        "mm_token_type_ids": rows([sample.token_types for sample in samples], 0),
        "pixel_values": torch.cat([sample.patches for sample in samples]),
        "image_grid_thw": torch.cat([sample.grids for sample in samples]),
    }


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_gets_the_logits_of_plain_transformers(untrained, samples, side):
    batch = padded(samples, side)

    ours, plain = (model(**batch).logits for model in (our_model(untrained), plain_model(untrained)))

    seen = batch["attention_mask"].bool()
    assert (ours[seen] - plain[seen]).abs().max() < TOLERANCE


def test_generation_from_a_left_padded_batch_is_that_of_plain_transformers(untrained, samples):
    batch = padded(samples, "left")

    ours, plain = (
        model.eval().generate(**batch, max_new_tokens=8, do_sample=False, eos_token_id=-1)
        for model in (our_model(untrained), plain_model(untrained))
    )

    assert ours.equal(plain)


def test_four_bit_layers_attend_sample_by_sample(untrained, samples):
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.packing import pack

    model = load_base(untrained, choose_precision("fp32"), quantised=True)

    with torch.no_grad():
        together = model(**pack(samples), use_cache=False).logits[0]
        apart = [model(**pack([sample]), use_cache=False).logits[0] for sample in samples]

    assert (together - torch.cat(apart)).abs().max() < TOLERANCE


def test_saved_models_do_not_name_our_attention(untrained, tmp_path):
    our_model(untrained).save_pretrained(tmp_path)

    config = json.loads((tmp_path / "config.json").read_text())
    assert "studio" not in json.dumps(config)
