"""Answers that nobody should be paid for: what a model that looks for an easy way out would find."""

from backend.rewards.report import AnswerKind

REPEATS = 50
LONG_CHARACTERS = 10_000
_FILLER = "The picture shows what was asked for. "


def adversaries(gold: str) -> dict[AnswerKind, str]:
    """One answer of each kind, for a row whose gold answer is `gold`."""
    return {
        "empty": "",
        "repeated": " ".join([gold] * REPEATS),
        "tags": "<think></think><answer></answer>",
        "long": (_FILLER * (LONG_CHARACTERS // len(_FILLER) + 1))[:LONG_CHARACTERS],
    }
