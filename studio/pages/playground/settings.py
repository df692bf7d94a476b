"""What every model of a conversation is asked with: the page's controls, made from their declaration."""

from typing import Any

import annotated_types
import gradio as gr
from pydantic import ValidationError

from backend.conversation import PLACEHOLDER
from backend.datasets.turns import CONTROL_TOKENS
from backend.errors import DatasetError, SpecError
from backend.spec.knobs import Knob, knobs_of
from backend.spec.sampling import ChatSettings
from studio.ui.i18n import Translate

KNOBS = tuple(ChatSettings.model_fields)  # as the page orders its controls
SEED = KNOBS.index("seed")
FINEST_STEP = 0.01
LONGEST_SLIDER = 10_000  # a range of more whole numbers is typed


def settings_controls(t: Translate) -> list[Any]:
    """Lay out a control for each field of `ChatSettings`, in the order of `KNOBS`."""
    controls = {}
    with gr.Column(elem_classes="card settings"):
        with gr.Accordion(t("play.system.fold"), open=False, elem_id="system-fold"):
            controls["system"] = gr.Textbox(
                label=t("play.system"), info=t("play.system.help"), lines=2, max_lines=10,
                placeholder=t("play.system.none"), elem_id="system",
            )  # fmt: skip
        with gr.Accordion(t("play.sampling"), open=False, elem_id="sampling"), gr.Row(elem_classes="knobs"):
            for knob in knobs_of(ChatSettings):
                if knob.path not in controls:
                    controls[knob.path] = control(knob, t)
    return [controls[name] for name in KNOBS]


def settings_of(values: tuple[Any, ...], t: Translate) -> ChatSettings:
    """Read the page's controls, in the order of `KNOBS`. Raises StudioError for what is out of range or not allowed."""
    fields = dict(zip(KNOBS, values, strict=True))
    fields["system"] = (fields["system"] or "").strip()
    refuse_marks(fields["system"], t)
    try:
        return ChatSettings.model_validate(fields)
    except ValidationError as error:
        refused = {str(problem["loc"][0]) for problem in error.errors()}
        hints = [_limits_in_words(knob, t) for knob in knobs_of(ChatSettings) if knob.path in refused]
        raise SpecError(t("play.bad_sampling"), hint="; ".join(hints)) from error


def values_of(settings: ChatSettings) -> list[Any]:
    """Its values as the controls show them, in the order of `KNOBS`."""
    return [getattr(settings, name) for name in KNOBS]


def refuse_marks(text: str, t: Translate) -> None:
    """What the studio or the model would read as something else than text stays out. Raises DatasetError."""
    if PLACEHOLDER in text:
        raise DatasetError(t("play.no_placeholder"), hint=t("play.no_placeholder.hint"))
    token = CONTROL_TOKENS.search(text)
    if token:
        raise DatasetError(t("play.no_control", token=token[0]), hint=t("play.no_control.hint"))


def control(knob: Knob, t: Translate) -> Any:
    """The control of one field, within its limits and at its default."""
    facts: dict[str, Any] = {
        "label": t(f"play.{knob.path}"), "info": t(f"play.{knob.path}.help"), "min_width": 280,
        "elem_id": knob.path.replace("_", "-"),
    }  # fmt: skip
    if knob.field.annotation is bool:
        return gr.Checkbox(knob.field.default, **facts)
    is_whole = knob.field.annotation is int
    least, most = _range(knob)
    if is_whole and most - least > LONGEST_SLIDER:
        return gr.Number(knob.field.default, precision=0, minimum=least, maximum=most, **facts)
    return gr.Slider(least, most, knob.field.default, step=1 if is_whole else FINEST_STEP, **facts)


def _range(knob: Knob) -> tuple[float, float]:
    """The least and the most that a number may be; above an open limit the next value of a slider."""
    least = most = 0.0
    for limit in knob.field.metadata:
        if isinstance(limit, annotated_types.Ge):
            least = float(limit.ge)  # type: ignore[arg-type]
        elif isinstance(limit, annotated_types.Gt):
            least = float(limit.gt) + FINEST_STEP  # type: ignore[arg-type]
        elif isinstance(limit, annotated_types.Le):
            most = float(limit.le)  # type: ignore[arg-type]
    return least, most


def _limits_in_words(knob: Knob, t: Translate) -> str:
    label = t(f"play.{knob.path}")
    for limit in knob.field.metadata:
        if isinstance(limit, annotated_types.MaxLen):
            return t("play.bad_length", label=label, most=f"{limit.max_length:,}")
    least, most = _range(knob)
    return t("play.bad_number", label=label, least=f"{least:g}", most=f"{most:.10g}")
