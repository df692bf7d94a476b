"""The left column of the Train page: every control drawn for one recipe, and what its pickers list."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

import gradio as gr

from backend.errors import SpecError
from backend.recipes.library import EFFORTS, load_recipe, recipe_for, with_effort
from backend.rewards.builtin_library import builtin_names
from backend.rewards.store import RewardStore
from backend.spec.files import KNOBS
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGY_NAMES
from studio.models import catalogue_choices
from studio.services import Services
from studio.ui.components import card_head, island
from studio.ui.form import ADVANCED, draw
from studio.ui.i18n import Translate

KINDS = ("sft", "grpo")  # what a person may start from the form
PickerRows = list[dict[str, Any]]  # rows of a picker: {name, weight, chosen, ...}
_SCRIPTS = ("weights.js", "train.js")
_UNPICKED = {"weight": 1, "chosen": False}


class RecipeChoice(NamedTuple):
    """The three choices that a recipe's values follow."""

    kind: str
    strategy: str
    effort: str


DEFAULT_CHOICE = RecipeChoice("sft", "lora", "balanced")  # what the page opens with


def recipe_spec(choice: RecipeChoice) -> RunSpec:
    """The recipe's spec. Raises SpecError for words that the page never offered."""
    kind, strategy, effort = checked(choice)
    recipe = load_recipe(recipe_for(kind, strategy)).spec
    return with_effort(recipe.with_values({"strategy.name": strategy}), effort)


def demo_datasets(choice: RecipeChoice) -> tuple[str, ...]:
    """The recipe's own datasets. Raises SpecError for words that the page never offered."""
    kind, strategy, _ = checked(choice)
    return load_recipe(recipe_for(kind, strategy)).demo_datasets


def checked(choice: RecipeChoice) -> tuple[Any, Any, Any]:
    """The three, each checked. Raises SpecError."""
    for word, offered, what in (
        (choice.kind, KINDS, "kind of learning"),
        (choice.strategy, STRATEGY_NAMES, "strategy"),
        (choice.effort, EFFORTS, "length of training"),
    ):
        if word not in offered:
            raise SpecError(f"`{word}` is no {what}", hint=f"Choose one of {', '.join(offered)}")
    return choice


@dataclass(frozen=True, slots=True)
class TrainControls:
    """What was drawn."""

    choice: gr.State  # RecipeChoice whose recipe the form shows
    kind: gr.Radio
    effort: gr.Radio
    basic: dict[str, Any]  # by the path of their knob
    advanced: dict[str, Any]
    advanced_fold: gr.Accordion
    reset: gr.Button
    reward_columns: list[gr.Column]  # shown where it learns from rewards


def draw_controls(spec: RunSpec, choice: RecipeChoice, t: Translate) -> TrainControls:
    """Draw the cards in the order of the work."""
    kind, rewards, picking = _kind_card(choice, t)
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.strategy"), 2)
        strategy = _cards("strategy", STRATEGY_NAMES, choice.strategy, t("knob.strategy.name.label"), t)
    basic = {"strategy.name": strategy, "grpo.rewards": rewards, **_data_card(spec, t)}
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.effort"), 4)
        lengths = [(f"{t(f'effort.{effort}')}\n{t(f'effort.{effort}.help')}", effort) for effort in EFFORTS]
        effort = gr.Radio(
            lengths,
            value=choice.effort,
            label=t("effort.label"),
            show_label=False,
            container=False,
            elem_classes="cards seg",
            elem_id="effort",
        )
        with gr.Accordion(t("train.advanced"), open=False, elem_id="advanced") as advanced_fold:
            advanced, reward_column = _advanced(spec, t)
            reset = gr.Button(t("train.advanced.reset"), size="sm", elem_id="reset-advanced")
    state, columns = gr.State(choice), [picking, reward_column]
    return TrainControls(state, kind, effort, basic, advanced, advanced_fold, reset, columns)


def dataset_rows(services: Services, picked: object) -> PickerRows:
    """All datasets, newest first."""
    rows = [{"name": each.name, "rows": each.statistics.train_rows} for each in services.datasets.manifests()]
    return _with_picks(rows, picked)


def reward_rows(services: Services, picked: object, t: Translate) -> PickerRows:
    """The person's own rewards, then the ready ones; each says what it pays, or whether a dry run vouches for it."""
    store = RewardStore(services.workspace)
    own = [
        {"name": name, "about": t("train.reward.own"), "is_own": True, "is_checked": store.is_checked(store.get(name))}
        for name in store.names()
    ]
    ready = [
        {"name": name, "about": t(f"reward.{name}.about"), "is_own": False, "is_checked": True}
        for name in builtin_names()
    ]
    return _with_picks([*own, *ready], picked)


def picked_rows(spec: RunSpec, knob: str) -> PickerRows:
    """The choices that a spec made, as a picker holds them."""
    shares = spec.data.datasets if knob == "data.datasets" else spec.grpo.rewards
    return [{"name": share.name, "weight": share.weight, "chosen": True} for share in shares]


def pick(rows: PickerRows, names: Sequence[str]) -> PickerRows:
    """Choose exactly these, where one of them is there; else leave the choice as it was."""
    if not any(row["name"] in names for row in rows):
        return rows
    return [row | {"chosen": row["name"] in names} for row in rows]


def chosen_names(rows: PickerRows) -> set[str]:
    """The names that are chosen."""
    return {row["name"] for row in rows if row["chosen"]}


def dataset_picker(t: Translate) -> gr.HTML:
    """Choose datasets and weights. Value: a list of {name, rows, weight, chosen}."""
    words = {key: t(f"train.dataset.{key}") for key in ("rows", "weight", "share")} | {
        "label": t("train.datasets"),
        "empty": t("train.empty.title"),
        "empty_help": t("train.empty.help"),
        "empty_action": t("train.empty.action"),
    }
    events = ("input", "shown")  # a choice was made; it came into view, where what is there may have changed
    return island("datasetPicker", _SCRIPTS, words, events, value=[], elem_id="datasets")


def reward_picker(t: Translate) -> gr.HTML:
    """Choose rewards and weights. Value: a list of {name, about, is_own, is_checked, weight, chosen}."""
    words = {key: t(f"train.reward.{key}") for key in ("weight", "unchecked", "check", "more")}
    words["label"] = t("train.rewards")
    return island("rewardPicker", _SCRIPTS, words, ("input", "shown"), value=[], elem_id="rewards")


def _kind_card(choice: RecipeChoice, t: Translate) -> tuple[gr.Radio, gr.HTML, gr.Column]:
    """What it learns from; for rewards, which."""
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.kind"), 1)
        kind = _cards("kind", KINDS, choice.kind, t("train.step.kind"), t)
        with gr.Column(visible=choice.kind == "grpo", elem_id="reward-choice") as picking:
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
                catalogue_choices(t),
                value=spec.model.base,
                label=t("knob.model.base.label"),
                elem_id="model",
                allow_custom_value=True,  # what is offered changes, also over a restart: reading refuses the rest
            )
            name = gr.Textbox(label=t("knob.name.label"), max_lines=1, max_length=120, elem_id="run-name")
    return {"data.datasets": picker, "model.base": model, "name": name}


def _cards(what: str, names: tuple[str, ...], chosen: str, label: str, t: Translate) -> gr.Radio:
    """Choose one of some cards, each with a title and a sentence."""
    cards = [(f"{t(f'{what}.{name}.title')}\n{t(f'{what}.{name}.help')}", name) for name in names]
    return gr.Radio(
        cards,
        value=chosen,
        label=label,
        show_label=False,
        container=False,
        elem_classes=["cards", f"of-{len(names)}"],
        elem_id=what,
    )


def _advanced(spec: RunSpec, t: Translate) -> tuple[dict[str, Any], gr.Column]:
    """The knobs in the fold by path, and the column of those that only learning from rewards reads."""
    components: dict[str, Any] = {}
    columns: dict[str, gr.Column] = {}
    for group, paths in groupby(ADVANCED, key=lambda path: path.partition(".")[0]):
        with gr.Column(visible=group != "grpo" or spec.kind == "grpo") as columns[group]:
            gr.Markdown(f"#### {t(f'group.{group}')}", elem_classes="group")
            with gr.Row(elem_classes="knobs"):
                for path in paths:
                    components[path] = draw(
                        path, spec, t, visible=KNOBS[path].is_read(spec.table, spec.kind), min_width=200
                    )
    return components, columns["grpo"]


def _with_picks(rows: PickerRows, picked: object) -> PickerRows:
    """What a browser sends may be anything: only what is there is listed, and only choices and weights are taken."""
    sent = {str(row.get("name")): row for row in picked if isinstance(row, dict)} if isinstance(picked, list) else {}
    return [
        _UNPICKED | {key: sent.get(row["name"], _UNPICKED).get(key, _UNPICKED[key]) for key in _UNPICKED} | row
        for row in rows
    ]
