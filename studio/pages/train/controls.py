"""The left column of the Train page: every control drawn for one recipe, and what its pickers list."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import gradio as gr

from backend.errors import SpecError
from backend.recipes.library import EFFORTS, RECIPE_OF, load_recipe, recipe_for, with_effort
from backend.rewards.builtin_library import library_names
from backend.rewards.store import RewardStore
from backend.spec.run import RunSpec
from studio.models import catalogue_choices
from studio.pages.train.components import dataset_picker, reward_picker
from studio.services import Services
from studio.ui.components import card_head
from studio.ui.form import ADVANCED, draw, is_used
from studio.ui.i18n import Translate

KINDS = ("sft", "grpo")  # what a person may start from the form
Shares = list[dict[str, Any]]  # rows of a picker: {name, weight, chosen, ...}
_FRESH = {"weight": 1, "chosen": False}


class Base(NamedTuple):
    """The three choices that a recipe's values follow."""

    kind: str
    strategy: str
    effort: str


FIRST = Base("sft", "lora", "balanced")  # what the page opens with


def base_spec(base: Base) -> RunSpec:
    """The recipe's spec. Raises SpecError for words that the page never offered."""
    kind, strategy, effort = known(base)
    recipe = load_recipe(recipe_for(kind, strategy)).spec
    return with_effort(recipe.with_values({"strategy.name": strategy}), effort)


def demo_datasets(base: Base) -> tuple[str, ...]:
    """The recipe's own datasets. Raises SpecError for words that the page never offered."""
    kind, strategy, _ = known(base)
    return load_recipe(recipe_for(kind, strategy)).demo_datasets


def known(base: Base) -> tuple[Any, Any, Any]:
    """The three, each checked. Raises SpecError."""
    for word, offered, what in (
        (base.kind, KINDS, "kind of learning"), (base.strategy, tuple(RECIPE_OF), "strategy"),
        (base.effort, EFFORTS, "length of training"),
    ):  # fmt: skip
        if word not in offered:
            raise SpecError(f"`{word}` is no {what}", hint=f"Choose one of {', '.join(offered)}")
    return base


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


def listed_datasets(services: Services, made: object) -> Shares:
    """All datasets, newest first."""
    there = [{"name": each.name, "rows": each.statistics.train_rows} for each in services.datasets.manifests()]
    return _with_choices(there, made)


def listed_rewards(services: Services, made: object, t: Translate) -> Shares:
    """The person's own rewards, then the ready ones; each says what it pays, or whether a dry run vouches for it."""
    store = RewardStore(services.workspace)
    own = [
        {"name": name, "said": t("train.reward.own"), "is_own": True, "is_checked": store.is_checked(store.get(name))}
        for name in store.names()
    ]
    ready = [
        {"name": name, "said": t(f"reward.{name}.about"), "is_own": False, "is_checked": True}
        for name in library_names()
    ]
    return _with_choices([*own, *ready], made)


def shares_of(spec: RunSpec, knob: str) -> Shares:
    """The choices that a spec made, as a picker holds them."""
    shares = spec.data.datasets if knob == "data.datasets" else spec.grpo.rewards
    return [{"name": share.name, "weight": share.weight, "chosen": True} for share in shares]


def choose(shares: Shares, names: Sequence[str]) -> Shares:
    """Choose exactly these, where one of them is there; else leave the choice as it was."""
    if not any(share["name"] in names for share in shares):
        return shares
    return [share | {"chosen": share["name"] in names} for share in shares]


def chosen_names(shares: Shares) -> set[str]:
    """The names that are chosen."""
    return {share["name"] for share in shares if share["chosen"]}


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


def _with_choices(there: Shares, made: object) -> Shares:
    """What a browser sends may be anything: only what is there is listed, and only choices and weights are taken."""
    rows = [each for each in made if isinstance(each, dict)] if isinstance(made, list) else []
    known = {str(each.get("name")): each for each in rows}
    return [
        _FRESH | {key: known.get(each["name"], _FRESH).get(key, _FRESH[key]) for key in _FRESH} | each for each in there
    ]
