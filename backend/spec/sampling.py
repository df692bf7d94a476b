"""How a chat answers, declared once: the page, the command, kept files, the protocol and the program read this.

The limits of what GRPO draws its answers with are the same ones.
"""

from typing import Any, Self

from pydantic import model_validator

from backend.earlier_names import renamed
from backend.spec.knobs import SpecModel, knob

MAX_SEED = 2**31 - 1
MAX_TEMPERATURE = 5.0
TOP_P_LIMITS: dict[str, Any] = {"gt": 0, "le": 1}
REPETITION_PENALTY_LIMITS: dict[str, Any] = {"ge": 0.5, "le": 2}


class SamplingParameters(SpecModel):
    """How the next token is chosen, and when an answer is cut off; the names are those of `generate`."""

    seed: int = knob(0, label="Seed", help="The same seed and parameters give the same answer", ge=0, le=MAX_SEED)
    max_new_tokens: int = knob(
        256, label="Longest answer", help="The answer is cut off there", unit="tokens", ge=1, le=8192
    )
    temperature: float = knob(0.0, label="Temperature", help="0 takes the likeliest token", ge=0, le=MAX_TEMPERATURE)
    top_p: float = knob(
        1.0, label="Top p", help="With a temperature: only the likeliest tokens that hold this share", **TOP_P_LIMITS
    )
    repetition_penalty: float = knob(
        1.0,
        label="Repetition penalty",
        help="Above 1, tokens that were read or said before become less likely",
        **REPETITION_PENALTY_LIMITS,
    )


class ChatSettings(SamplingParameters):
    """The same for every model that is asked. Rests on disk beside a conversation."""

    system: str = knob("", label="System prompt", help="How to answer; without it the model's own", max_length=20_000)
    beside_runs: bool = knob(False, label="Beside runs", help="Answer on a GPU that a run holds where no other is free")

    _earlier = model_validator(mode="before")(renamed({"most_tokens": "max_new_tokens"}))

    def with_next_seed(self) -> Self:
        """The same with another seed, so that chance falls otherwise."""
        return self.model_copy(update={"seed": (self.seed + 1) % (MAX_SEED + 1)})

    @property
    def sampling(self) -> SamplingParameters:
        """What the program needs of it."""
        return SamplingParameters(**self.model_dump(include=set(SamplingParameters.model_fields)))
