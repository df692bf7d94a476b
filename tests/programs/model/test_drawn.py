"""Drawn answers are scored as TRL scores them, although they are packed and their images looked at only once."""

from types import SimpleNamespace

import pytest
import torch

from backend.conversation import Message
from tests.programs.model.test_packing import model_of

pytestmark = pytest.mark.torch

GROUP = 3
ANSWERS = ["A red circle.", "Blue", "It is a square and two more."]


@pytest.fixture
def questions(encoder, images):
    asked = [("<image>What is it?", images[:1]), ("Say hello.", []), ("<image><image>Compare them.", images[1:])]
    return [encoder.encode((Message(role="user", content=text),), shown, for_answer=True) for text, shown in asked]


@pytest.fixture
def drawn(encoder, questions):
    """Questions, one for each answer of its group; answers (B, C) and their mask."""
    ids = [torch.tensor(encoder.tokenizer(text + "<|im_end|>")["input_ids"]) for text in ANSWERS] * len(questions)
    answers = torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=encoder.tokenizer.pad_token_id)
    mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(each) for each in ids], batch_first=True)
    return [question for question in questions for _ in range(GROUP)], answers, mask


def headed(untrained, kind: str, checkpointing: bool = False):
    from trl.trainer.utils import add_fused_lm_head

    model = model_of(untrained, kind, checkpointing)
    whole = model.get_base_model() if kind == "lora" else model
    add_fused_lm_head(whole, temperature=0.7, outputs=("log_probs", "entropy"))
    return model


def scored_by_trl(model, encoder, asked, answers, mask):
    """TRL's own path: padded rows, the images of every copy of a question through the tower."""
    from accelerate import Accelerator
    from trl import GRPOTrainer

    from backend.programs.model.generation import left_padded

    inputs = left_padded(asked, encoder.tokenizer.pad_token_id, torch.device("cpu"))
    types = torch.cat([inputs["mm_token_type_ids"], torch.zeros_like(answers)], dim=1)
    trainer = SimpleNamespace(accelerator=Accelerator(cpu=True))
    found = GRPOTrainer._get_per_token_logps_and_entropies(
        trainer, model, torch.cat([inputs["input_ids"], answers], dim=1),
        torch.cat([inputs["attention_mask"], mask], dim=1), answers.shape[1], compute_entropy=True,
        pixel_values=inputs["pixel_values"], image_grid_thw=inputs["image_grid_thw"],
        num_images=[len(sample.grids) for sample in asked], mm_token_type_ids=types,
    )  # fmt: skip
    return found[0] * mask, found[1] * mask


def scored_by_us(model, encoder, asked, answers, mask, *, packing=True, shares=True):
    from backend.programs.model.packing import Collator
    from backend.programs.model.vision_features import features_of
    from backend.programs.training.grpo import score_answers

    distinct = asked[::GROUP]
    seen = [each for features in features_of(model, distinct) for each in [features] * GROUP] if shares else None
    collator = Collator(encoder, packing=packing, needs_image=False)
    return score_answers(model, asked, answers, mask, collator, seen)


@pytest.mark.parametrize(("packing", "shares"), [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_log_probabilities_and_entropies_are_trls(untrained, encoder, drawn, kind, packing, shares):
    model = headed(untrained, kind)

    expected = scored_by_trl(model, encoder, *drawn)
    found = scored_by_us(model, encoder, *drawn, packing=packing, shares=shares)

    assert torch.allclose(found.log_probabilities, expected[0], atol=1e-4)
    assert torch.allclose(found.entropies, expected[1], atol=1e-4)
    assert expected[0].abs().sum() > 1


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", ["full", "lora"])
def test_gradients_are_trls_also_those_of_the_tower(untrained, encoder, drawn, kind, checkpointing):
    weights = torch.linspace(-1, 1, len(drawn[1]))[:, None]
    gradients = []
    for score in (scored_by_trl, scored_by_us):
        model = headed(untrained, kind, checkpointing)
        (score(model, encoder, *drawn)[0] * weights).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})

    assert set(gradients[0]) == set(gradients[1])
    assert any(".visual." in name for name in gradients[1]) == (kind == "full")
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradients[1][name], gradient, atol=1e-4 * float(gradient.abs().max().clamp(min=1))), name


def test_answers_drawn_with_shared_images_are_those_drawn_without(untrained, encoder, questions):
    from backend.programs.model.generation import left_padded
    from backend.programs.model.vision_features import features_of

    model = model_of(untrained, "full", False).eval()
    filler, device = encoder.tokenizer.pad_token_id, torch.device("cpu")
    asked = [question for question in questions for _ in range(2)]
    settings = {"max_new_tokens": 8, "do_sample": False, "use_cache": True, "pad_token_id": filler}

    with torch.no_grad():
        shared = [each for features in features_of(model, questions) for each in [features] * 2]
        together = model.generate(**left_padded(asked, filler, device, shared), **settings)
        apart = model.generate(**left_padded(asked, filler, device), **settings)

    assert together.tolist() == apart.tolist()


def test_each_image_is_looked_at_once_for_its_group(untrained, encoder, drawn):
    model = headed(untrained, "full")
    seen = []
    model.model.visual.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))

    scored_by_us(model, encoder, *drawn)

    assert seen == [sum(len(sample.patches) for sample in drawn[0][::GROUP])]


def test_an_answer_that_teaches_nothing_changes_nothing_else(untrained, encoder, drawn):
    """As with cut answers that are masked: a group may even hold none that counts."""
    asked, answers, mask = drawn
    model = headed(untrained, "full")
    emptied = mask.clone()
    emptied[1] = 0

    whole, less = (scored_by_us(model, encoder, asked, answers, kept) for kept in (mask, emptied))

    assert less.log_probabilities[1].abs().sum() == 0
    assert torch.allclose(less.log_probabilities[2:], whole.log_probabilities[2:], atol=1e-5)
    scored_by_us(model, encoder, asked, answers, torch.zeros_like(mask)).log_probabilities.sum().backward()
