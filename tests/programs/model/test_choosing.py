"""How the next token is chosen: as transformers' own processors would have it, in their order."""

import itertools

import pytest

pytestmark = pytest.mark.torch

VOCABULARY = 300


def theirs(logits, read, temperature, top_p, penalty):
    """The scores that `generate` would sample from."""
    from transformers.generation.logits_process import (
        LogitsProcessorList,
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopPLogitsWarper,
    )

    steps = LogitsProcessorList([RepetitionPenaltyLogitsProcessor(penalty)])
    if temperature > 0:
        steps += [TemperatureLogitsWarper(temperature), TopPLogitsWarper(top_p)]
    return steps(read[None], logits[None])[0]


@pytest.mark.parametrize(
    ("temperature", "top_p", "penalty"),
    list(itertools.product((0.0, 0.7, 1.6), (0.05, 0.5, 0.95, 1.0), (0.8, 1.0, 1.3))),
)
def test_tokens_are_those_of_transformers(temperature: float, top_p: float, penalty: float):
    import torch

    from backend.programs.model.generation import choose
    from backend.spec.sampling import SamplingParameters

    sampling = SamplingParameters(temperature=temperature, top_p=top_p, repetition_penalty=penalty)
    draw = torch.Generator().manual_seed(5)
    ours, expected = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    for _ in range(20):
        logits = torch.randn(VOCABULARY, generator=draw) * 4
        read = torch.randint(VOCABULARY, (40,), generator=draw)  # some of them twice
        scores = theirs(logits, read, temperature, top_p, penalty)

        token = choose(logits, sampling, ours, read)

        sampled = torch.multinomial(scores.softmax(-1), 1, generator=expected) if temperature else scores.argmax()
        assert token == int(sampled)


def test_a_penalty_ends_what_would_be_said_for_ever():
    import torch

    from backend.programs.model.generation import choose
    from backend.spec.sampling import SamplingParameters

    logits, said = torch.tensor([0.1, 2.0, 1.5]), torch.tensor([1, 1, 1])

    assert choose(logits, SamplingParameters(), torch.Generator(), said) == 1
    assert choose(logits, SamplingParameters(repetition_penalty=2.0), torch.Generator(), said) == 2
