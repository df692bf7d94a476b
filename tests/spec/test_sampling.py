"""The parameters of a chat are declared once: one field more is on the page, in the command and in the protocol."""

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from backend.chat_protocol import Ask
from backend.errors import SpecError
from backend.spec.grpo import GrpoKnobs
from backend.spec.knobs import knob, knobs_of
from backend.spec.sampling import ChatSettings, SamplingParameters
from studio.cli import chat
from studio.pages.playground import settings as page
from studio.ui.i18n import translator


class WithMinP(ChatSettings):
    min_p: float = knob(0.0, label="Min p", help="Tokens less likely than this share of the likeliest", ge=0, le=0.5)


def words(key: str, **values: object) -> str:
    """What the locales say; the new field's texts stand for themselves."""
    return key if "min_p" in key else translator("en")(key, **values)


def test_a_field_more_is_a_control_of_the_page(monkeypatch):
    monkeypatch.setattr(page, "ChatSettings", WithMinP)
    monkeypatch.setattr(page, "KNOBS", tuple(WithMinP.model_fields))

    slider = page.control(next(each for each in knobs_of(WithMinP) if each.path == "min_p"), words)
    assert (slider.minimum, slider.maximum, slider.value, slider.label) == (0, 0.5, 0, "play.min_p")
    values = page.values_of(WithMinP())
    assert page.settings_of((*values[:-1], 0.25), words) == WithMinP(min_p=0.25)
    with pytest.raises(SpecError) as refused:
        page.settings_of((*values[:-1], 0.75), words)
    assert refused.value.hint == "play.min_p: from 0 to 0.5"


def test_a_field_more_is_an_option_of_the_command(monkeypatch):
    monkeypatch.setattr(chat, "ChatSettings", WithMinP)
    asked = []

    @chat.with_settings
    def command(checkpoint: str, *, settings: ChatSettings) -> None:
        asked.append((checkpoint, settings))

    app = typer.Typer()
    app.command()(command)
    assert CliRunner().invoke(app, ["demo", "--min-p", "0.25", "--seed", "7"]).exit_code == 0
    assert asked == [("demo", WithMinP(min_p=0.25, seed=7))]
    assert CliRunner().invoke(app, ["demo", "--min-p", "0.6"]).exit_code != 0


def test_the_protocol_carries_every_parameter():
    parameters = SamplingParameters(seed=1, max_new_tokens=2, temperature=0.5, top_p=0.9, repetition_penalty=1.1)
    ask = Ask(id=1, workspace="w", checkpoint="demo", messages=(), images=(), sampling=parameters)
    assert Ask.model_validate_json(ask.model_dump_json()).sampling == parameters
    assert ChatSettings(system="Be brief.", **parameters.model_dump()).sampling == parameters
    assert set(parameters.model_dump()) == set(SamplingParameters.model_fields)  # each was given a value


@pytest.mark.parametrize("name", ["temperature", "top_p", "repetition_penalty"])
@pytest.mark.parametrize("value", [-0.1, 0.49, 1.0, 1.01, 2.0, 2.01, 5.0, 5.01])
def test_grpo_draws_its_answers_within_the_same_limits(name: str, value: float):
    def takes(model: type) -> bool:
        try:
            model(**{name: value})
        except ValidationError:
            return False
        return True

    assert takes(GrpoKnobs) == takes(SamplingParameters)


def test_settings_that_an_earlier_version_kept_are_read():
    kept = {"system": "", "seed": 7, "most_tokens": 32, "temperature": 0.5, "top_p": 0.9, "repetition_penalty": 1.1,
            "beside_runs": False}  # fmt: skip
    assert ChatSettings.model_validate(kept).max_new_tokens == 32
