"""When a merged model counts as answering the same although half precision rounds it."""

import pytest

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """The shipped model in bf16, its encoder, questions about drawn images, and its ways along its own answers."""
    import random

    import torch

    from backend.programs.export.certificate import _demo_questions, ask, teacher_forced
    from backend.programs.model.encoder import Encoder
    from backend.programs.model.loading import Precision, load_base
    from backend.settings import STATIC

    folder = STATIC / "demo" / "model"
    model = load_base(folder, Precision(torch.bfloat16, "half"))
    encoder = Encoder(folder, 4 * 784, 64 * 784)
    questions = _demo_questions(tmp_path_factory.mktemp("asked"), random.Random(0))[:3]
    texts = ask(model.eval(), questions, encoder).texts
    return model, teacher_forced(model, questions, texts, encoder)


def test_a_model_is_near_itself_and_what_rounding_makes_of_it(asked):
    import torch

    from backend.programs.export.certificate import is_near

    model, forced_answers = asked
    assert all(is_near(model, forced) for forced in forced_answers)

    weight = model.model.language_model.layers[0].mlp.down_proj.weight
    with torch.no_grad():
        weight.mul_(1 + 2**-8)  # one step of bf16
        assert all(is_near(model, forced) for forced in forced_answers)
        weight.mul_(1 - 2**-8)


def test_a_model_that_says_something_else_is_not_near(asked):
    import torch

    from backend.programs.export.certificate import is_near

    model, forced_answers = asked
    head = model.lm_head.weight
    kept = head.detach().clone()
    with torch.no_grad():
        head.copy_(kept.roll(1, 0))
        assert not any(is_near(model, forced) for forced in forced_answers)
        head.copy_(kept)


def test_an_answer_that_cannot_be_read_back_is_not_near(asked):
    from backend.programs.export.certificate import is_near

    assert not is_near(asked[0], None)
