"""How models are asked: what they are told first, how the next word is chosen, when they are cut off."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.conversation import PLACEHOLDER, Message
from backend.datasets.turns import CONTROL_TOKENS
from backend.errors import DatasetError, SpecError
from launcher.chat import Question
from studio.ui.i18n import Translate

MOST_TOKENS = 2048
MOST_SEED = 2**31 - 1
KNOBS = (
    "system",
    "seed",
    "most_tokens",
    "temperature",
    "top_p",
    "repetition_penalty",
    "beside_runs",
)  # as the page orders them


class Manner(BaseModel):
    """The same for every model that is asked. Rests on disk beside what was said."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field("", max_length=20_000)  # empty leaves the models their own
    seed: int = Field(0, ge=0, le=MOST_SEED)
    most_tokens: int = Field(256, ge=1, le=MOST_TOKENS)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, ge=0.05, le=1)
    repetition_penalty: float = Field(1.0, ge=0.5, le=2)
    beside_runs: bool = False  # on a GPU that a run holds, where no other is free

    def question(self, model: str, messages: tuple[Message, ...], images: tuple[Any, ...]) -> Question:
        """Put a conversation to a model in this manner."""
        return Question(
            model, messages, images, seed=self.seed, max_new_tokens=self.most_tokens, temperature=self.temperature,
            top_p=self.top_p, repetition_penalty=self.repetition_penalty, system=self.system,
            beside_runs=self.beside_runs,
        )  # fmt: skip

    @property
    def knobs(self) -> list[Any]:
        """Its values in the order of `KNOBS`."""
        return [getattr(self, name) for name in KNOBS]


def manner_of(values: tuple[Any, ...], t: Translate) -> Manner:
    """Read the page's knobs, in the order of `KNOBS`. Raises StudioError for what is out of range or not to be said."""
    said = dict(zip(KNOBS, values, strict=True))
    said["system"] = (said["system"] or "").strip()
    refuse_marks(said["system"], t)
    try:
        return Manner.model_validate(said)
    except ValidationError as error:
        raise SpecError(t("play.bad_sampling"), hint=t("play.bad_sampling.hint", most=MOST_TOKENS)) from error


def refuse_marks(text: str, t: Translate) -> None:
    """What the studio or the model would read as something else than text stays out. Raises DatasetError."""
    if PLACEHOLDER in text:
        raise DatasetError(t("play.no_placeholder"), hint=t("play.no_placeholder.hint"))
    token = CONTROL_TOKENS.search(text)
    if token:
        raise DatasetError(t("play.no_control", token=token[0]), hint=t("play.no_control.hint"))
