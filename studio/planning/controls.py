"""The left column of the Train page: every control, drawn for one recipe."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import gradio as gr

from backend.recipes.efforts import EFFORTS
from backend.recipes.library import RECIPE_OF
from backend.spec.run import RunSpec
from studio.i18n import Translate
from studio.islands.headings import card_head
from studio.islands.train import dataset_picker, reward_picker
from studio.planning.bases import KINDS, Base
from studio.planning.form import ADVANCED, draw, is_used
from studio.planning.model_choices import catalogue_choices


@dataclass(frozen=True, slots=True)
class Controls:
    """What was drawn."""

    base: gr.State  # the choices whose recipe the form shows
    kind: gr.Radio
    effort: gr.Radio
    plain: dict[str, Any]  # by the path of their knob
    advanced: dict[str, Any]
    folded: gr.Accordion
    reset: gr.Button
    of_rewards: list[gr.Column]  # shown where it learns from rewards


def draw_controls(spec: RunSpec, base: Base, t: Translate) -> Controls:
    """Draw the cards in the order of the work."""
    kind, rewards, picking = _kind_card(base, t)
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.strategy"), 2)
        strategy = _cards("strategy", tuple(RECIPE_OF), base.strategy, t("knob.strategy.name.label"), t)
    plain = {"strategy.name": strategy, "grpo.rewards": rewards, **_data_card(spec, t)}
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.effort"), 4)
        lengths = [(f"{t(f'effort.{effort}')}\n{t(f'effort.{effort}.help')}", effort) for effort in EFFORTS]
        effort = gr.Radio(
            lengths, value=base.effort, label=t("effort.label"), show_label=False, container=False,
            elem_classes="cards seg", elem_id="effort",
        )  # fmt: skip
        with gr.Accordion(t("train.advanced"), open=False, elem_id="advanced") as folded:
            advanced, of_rewards = _advanced(spec, t)
            reset = gr.Button(t("train.advanced.reset"), size="sm", elem_id="reset-advanced")
    return Controls(gr.State(base), kind, effort, plain, advanced, folded, reset, [picking, of_rewards])


def _kind_card(base: Base, t: Translate) -> tuple[gr.Radio, gr.HTML, gr.Column]:
    """What it learns from; for rewards, which."""
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.kind"), 1)
        kind = _cards("kind", KINDS, base.kind, t("train.step.kind"), t)
        with gr.Column(visible=base.kind == "grpo", elem_id="reward-choice") as picking:
            rewards = reward_picker(t)
            gr.Markdown(t("train.rewards.help"), elem_classes="hint")
    return kind, rewards, picking


def _data_card(spec: RunSpec, t: Translate) -> dict[str, Any]:
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.data"), 3)
        picker = dataset_picker(t)
        gr.Markdown(t("train.datasets.help"), elem_classes="hint")
        with gr.Row():
            model = gr.Dropdown(
                catalogue_choices(t), value=spec.model.base, label=t("knob.model.base.label"), elem_id="model",
                allow_custom_value=True,  # what is offered changes, also over a restart: reading refuses the rest
            )  # fmt: skip
            name = gr.Textbox(label=t("knob.name.label"), max_lines=1, max_length=120, elem_id="run-name")
    return {"data.datasets": picker, "model.base": model, "name": name}


def _cards(what: str, names: tuple[str, ...], chosen: str, label: str, t: Translate) -> gr.Radio:
    """Choose one of some cards, each with a title and a sentence."""
    cards = [(f"{t(f'{what}.{name}.title')}\n{t(f'{what}.{name}.help')}", name) for name in names]
    return gr.Radio(
        cards, value=chosen, label=label, show_label=False, container=False,
        elem_classes=["cards", f"of-{len(names)}"], elem_id=what,
    )  # fmt: skip


def _advanced(spec: RunSpec, t: Translate) -> tuple[dict[str, Any], gr.Column]:
    """The knobs in the fold by path, and the column of those that only learning from rewards reads."""
    drawn: dict[str, Any] = {}
    columns: dict[str, gr.Column] = {}
    for group, paths in groupby(ADVANCED, key=lambda path: path.partition(".")[0]):
        with gr.Column(visible=group != "grpo" or spec.kind == "grpo") as columns[group]:
            gr.Markdown(f"#### {t(f'group.{group}')}", elem_classes="group")
            with gr.Row(elem_classes="knobs"):
                for path in paths:
                    drawn[path] = draw(path, spec, t, visible=is_used(path, spec.table, spec.kind), min_width=200)
    return drawn, columns["grpo"]
