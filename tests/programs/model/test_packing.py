"""T4 and T5: samples of a row do not see each other, and how they are batched does not change what is learned."""

import pytest
import torch

from backend.conversation import Message

pytestmark = pytest.mark.torch


def sample_of(encoder, images, question: str, answer: str):
    turns = (
        Message(role="user", content="<image>" * len(images) + question),
        Message(role="assistant", content=answer),
    )
    return encoder.encode(turns, images)


@pytest.fixture
def samples(encoder, images):
    return [
        sample_of(encoder, images[:1], "What is it?", "A red circle."),
        sample_of(encoder, [], "Say hello.", "Hello there, all of you."),
        sample_of(encoder, images[1:], "Compare them.", "They differ."),
    ]


def model_of(untrained, kind: str, checkpointing: bool):
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.parts import apply_strategy
    from backend.spec.run import RunSpec

    model = load_base(untrained, choose_precision("fp32"))
    if kind == "lora":
        torch.manual_seed(3)
        model = apply_strategy(model, RunSpec().with_values({"strategy.name": "lora"}))
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # they start at zero, which would hide them
                torch.nn.init.normal_(parameter, std=0.05)
        model.enable_input_require_grads()
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return model.train()


def logits_of(model, samples):
    from backend.programs.model.packing import pack

    batch = pack(samples)
    batch.pop("shift_labels")
    batch.pop("logits_to_keep")
    return model(**batch, use_cache=False).logits[0]


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_t4_packed_logits_are_those_of_separate_samples(untrained, samples, kind, checkpointing):
    model = model_of(untrained, kind, checkpointing)

    together = logits_of(model, samples)

    apart = torch.cat([logits_of(model, [sample]) for sample in samples])
    assert (together - apart).abs().max() < 1e-4


def test_t4_separate_samples_are_what_plain_transformers_computes(untrained, samples):
    model = model_of(untrained, "full", checkpointing=False)
    first = samples[0]

    plain = model(
        input_ids=first.input_ids[None],
        attention_mask=torch.ones(1, first.tokens, dtype=torch.long),
        mm_token_type_ids=first.token_types[None],
        pixel_values=first.patches,
        image_grid_thw=first.grids,
    ).logits[0]

    assert (logits_of(model, [first]) - plain).abs().max() < 1e-4


def test_t4_changing_one_sample_leaves_the_others_alone(untrained, encoder, images, samples):
    model = model_of(untrained, "full", checkpointing=False)
    changed = sample_of(encoder, images[:1], "What is it?", "A blue circle.")
    assert changed.tokens == samples[0].tokens

    before, after = logits_of(model, samples), logits_of(model, [changed, *samples[1:]])

    size = changed.tokens
    assert before[size:].equal(after[size:])
    assert not before[:size].equal(after[:size])


def test_t4_the_order_of_samples_only_permutes_the_outputs(untrained, samples):
    model = model_of(untrained, "full", checkpointing=False)
    first, second, third = samples

    forward = logits_of(model, [first, second, third])
    turned = logits_of(model, [third, first, second])

    expected = torch.cat([forward[first.tokens + second.tokens :], forward[: first.tokens + second.tokens]])
    assert (turned - expected).abs().max() < 1e-4


def test_the_first_token_of_a_sample_is_never_predicted_from_the_last_of_another(samples):
    from backend.programs.model.packing import pack

    batch = pack(samples)

    ends = torch.cumsum(torch.tensor([sample.tokens for sample in samples]), 0) - 1
    assert not set(ends.tolist()) & set(batch["logits_to_keep"].tolist())


def test_positions_are_those_of_transformers(untrained, samples):
    model = model_of(untrained, "full", checkpointing=False)
    for sample in samples:
        expected, _ = model.model.get_rope_index(
            sample.input_ids[None],
            image_grid_thw=sample.grids if len(sample.grids) else None,
            mm_token_type_ids=sample.token_types[None],
        )
        assert sample.positions.equal(expected[:, 0])
