"""Train: choose what learns, from what and for how long; see what that means; start it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.recipes.preview import effort_of
from backend.recipes.resolve import resolve
from backend.spec.files import KNOBS
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES
from studio.models import is_offered, model_choices
from studio.pages.train.controls import (
    DEFAULT_CHOICE,
    PickerRows,
    RecipeChoice,
    TrainControls,
    checked,
    chosen_names,
    dataset_rows,
    demo_datasets,
    draw_controls,
    pick,
    picked_rows,
    recipe_spec,
    reward_rows,
)
from studio.pages.train.plan import plan_of, plan_of_problems, plan_panel, suggested_name
from studio.services import Services
from studio.ui.components import page_head
from studio.ui.events import act, explained, refresh
from studio.ui.form import ADVANCED, Form, FormReading, KnobProblem, advanced_values, changed_knobs
from studio.ui.i18n import Translate
from studio.ui.shared_state import RewardRequest, SharedState, TabRequest, select_tab


@dataclass(frozen=True, slots=True)
class TrainPage:
    """What the handlers of this tab share."""

    services: Services
    form: Form
    t: Translate


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it."""
    page_head(t("train.title"), t("train.about"))
    with gr.Row(equal_height=False, elem_classes="train-columns"):
        with gr.Column(scale=7, min_width=320):
            controls = draw_controls(recipe_spec(DEFAULT_CHOICE), DEFAULT_CHOICE, t)
        with gr.Column(scale=4, min_width=320, elem_classes="train-side"), gr.Column(elem_classes="card"):
            plan = plan_panel(t)
            start = gr.Button(t("train.start"), variant="primary", size="lg", elem_id="start")
    page = TrainPage(services, Form({**controls.basic, **controls.advanced}, t), t)
    inputs = [controls.kind, controls.effort, *page.form.inputs]
    changed_at = gr.Number(0, visible="hidden")  # one event draws the plan: no older answer can overtake a newer one
    name = controls.basic["name"]
    refresh(changed_at.change, partial(preview, page), inputs, [plan, controls.advanced_fold, name])
    for edited in _wire_form(page, controls, shared):
        refresh(edited, time.time, None, changed_at)
    act(
        partial(start.click, validator=explained(partial(check, page), inputs, t)),
        partial(start_run, page),
        inputs,
        [shared.run_id, shared.tabs],
        t=t,
    )


def _wire_form(page: TrainPage, controls: TrainControls, shared: SharedState) -> list[Any]:
    """Wire what changes the form; give the triggers after which the plan is to be drawn anew."""
    datasets, rewards, model, strategy = (
        controls.basic[path] for path in ("data.datasets", "grpo.rewards", "model.base", "strategy.name")
    )
    advanced = list(controls.advanced.values())
    choice = [controls.kind, strategy, controls.effort]
    edits = [controls.choice, datasets, rewards, *advanced]
    outputs = [*edits, *controls.reward_columns]
    edited = [each.input for each in (datasets, rewards, model, controls.basic["name"], *advanced)]
    lora_vision, vision = (controls.advanced[path] for path in ("strategy.lora_vision", "optimiser.vision_rate"))
    refresh(lora_vision.change, show_vision_rate, [strategy, lora_vision], vision)
    updates = [
        refresh(
            partial(gr.on, [each.input for each in choice]), partial(change_recipe, page), [*choice, *edits], outputs
        ),
        refresh(controls.reset.click, reset_advanced, choice, advanced),
        refresh(datasets.shown, partial(list_choices, page), [datasets, model, *choice], [datasets, model]),
        refresh(rewards.shown, partial(list_rewards, page), rewards, rewards),
    ]
    requests = [
        refresh(
            shared.reward.change,
            partial(choose_reward, page),
            [shared.reward, *choice[1:], *edits],
            [controls.kind, *outputs],
        ),
        refresh(shared.dataset.change, partial(choose_dataset, page), [shared.dataset, datasets], datasets),
        refresh(
            shared.rerun.change,
            partial(show_settings_of, page),
            shared.rerun,
            [controls.kind, controls.effort, controls.choice, *controls.reward_columns, *page.form.inputs],
        ),
    ]
    for request in requests:
        refresh(request.then, partial(select_tab, "train"), None, shared.tabs)
    return [partial(gr.on, edited), *(each.then for each in (*updates, *requests))]


def list_choices(page: TrainPage, datasets: PickerRows, model: str, *choice: str) -> tuple[PickerRows, Any]:
    """List what is there now; with nothing chosen yet, choose the recipe's own datasets."""
    listed = dataset_rows(page.services, datasets)
    if not chosen_names(listed):
        listed = pick(listed, demo_datasets(RecipeChoice(*choice)))
    return listed, gr.Dropdown(choices=model_choices(page.services, page.t), value=model)


def list_rewards(page: TrainPage, rewards: PickerRows) -> PickerRows:
    """List the rewards there are now; with nothing chosen yet, choose the recipe's own."""
    listed = reward_rows(page.services, rewards, page.t)
    if chosen_names(listed):
        return listed
    recipe = recipe_spec(DEFAULT_CHOICE._replace(kind="grpo"))
    return pick(listed, [share.name for share in recipe.grpo.rewards])


def change_recipe(page: TrainPage, kind: str, strategy: str, effort: str, *edits: Any) -> list[Any]:
    """Follow another recipe: what the person has set stays, everything else takes the new recipe's values.

    `edits` are the choices that the form showed so far, the datasets, the rewards, then the values in the fold.
    """
    choice, datasets, rewards, *advanced = edits
    before, after = RecipeChoice(*choice), RecipeChoice(kind, strategy, effort)
    recipe = recipe_spec(after)
    datasets = dataset_rows(page.services, datasets)  # the first list may still be on its way to the page
    if chosen_names(datasets) in (set(), set(demo_datasets(before))):
        datasets = pick(datasets, demo_datasets(after))
    if kind == "grpo":
        rewards = list_rewards(page, rewards)
    values = [
        new if raw == old else raw
        for old, new, raw in zip(advanced_values(recipe_spec(before)), advanced_values(recipe), advanced, strict=True)
    ]
    return [after, datasets, rewards, *_advanced_updates(recipe, values), *_reward_columns(kind)]


def show_vision_rate(strategy: str, lora_vision: bool) -> Any:
    """Offer the vision tower's rate where it learns, be it through adapters."""
    row = STRATEGIES[checked(DEFAULT_CHOICE._replace(strategy=strategy))[1]]
    trained = row.with_vision_adapters() if lora_vision else row
    return gr.update(visible=KNOBS["optimiser.vision_rate"].is_read(trained))


def reset_advanced(kind: str, strategy: str, effort: str) -> list[Any]:
    """Show the recipe's own values again."""
    recipe = recipe_spec(RecipeChoice(kind, strategy, effort))
    return _advanced_updates(recipe, advanced_values(recipe))


def choose_dataset(page: TrainPage, request: TabRequest | None, rows: PickerRows) -> PickerRows:
    """Choose the one dataset that another tab sent here."""
    return pick(dataset_rows(page.services, rows), [request[0]] if request else [])


def choose_reward(page: TrainPage, request: RewardRequest | None, strategy: str, effort: str, *edits: Any) -> list[Any]:
    """Learn from the one reward that another tab sent here, on the dataset that came with it."""
    name, _, dataset = request or ("", 0.0, "")
    choice, datasets, rewards, *advanced = edits
    listed = pick(reward_rows(page.services, rewards, page.t), [name])
    choice, datasets, *rest = change_recipe(page, "grpo", strategy, effort, choice, datasets, listed, *advanced)
    return ["grpo", choice, pick(dataset_rows(page.services, datasets), [dataset]), *rest]


def preview(page: TrainPage, kind: str, effort: str, *values: Any) -> tuple[dict[str, Any], Any, Any]:
    """Say what Start would do: the plan, how many settings differ from the recipe, a name to go by."""
    recipe, reading = _read(page, kind, effort, values)
    if reading.spec is None:
        return plan_of_problems(reading.problems), gr.skip(), gr.skip()
    suggestion = suggested_name(reading.spec)
    spec = reading.spec.with_values({"name": reading.spec.name or suggestion})
    rows = {manifest.name: manifest.statistics.train_rows for manifest in page.services.datasets.manifests()}
    changed = len(changed_knobs(recipe, spec))
    title = page.t("train.advanced.changed", count=changed) if changed else page.t("train.advanced")
    plan = plan_of(spec, effort, rows, page.services.workspace, page.t)  # type: ignore[arg-type]
    return plan, gr.Accordion(label=title), gr.Textbox(placeholder=suggestion)


def check(page: TrainPage, kind: str, effort: str, *values: Any) -> list[dict[str, Any]]:
    """Give the verdict beside each field before anything starts."""
    verdicts = page.form.check(_recipe_of(page, kind, effort, values), values)
    return [gr.validate(True, ""), gr.validate(True, ""), *verdicts]


def start_run(page: TrainPage, kind: str, effort: str, *values: Any) -> tuple[str, Any]:
    """Start the run and show it. Raises StudioError with every reason why it cannot start."""
    _, reading = _read(page, kind, effort, values)
    spec = reading.spec_or_raise(page.t)
    spec = spec.with_values({"name": spec.name or suggested_name(spec)})
    run_id = page.services.launcher.submit(resolve(spec, page.services.workspace))
    return run_id, select_tab("runs")


def show_settings_of(page: TrainPage, request: TabRequest | None) -> list[Any]:
    """Show a run's settings, so that it can be trained again, changed or not. Raises NotFoundError without one."""
    spec = page.services.runs.get(request[0] if request else "").spec
    choice = RecipeChoice("sft" if spec.kind == "sft" else "grpo", spec.strategy.name, effort_of(spec))
    values = {
        "strategy.name": spec.strategy.name,
        "model.base": spec.model.base,
        "name": "",
        "data.datasets": dataset_rows(page.services, picked_rows(spec, "data.datasets")),
        "grpo.rewards": list_rewards(page, picked_rows(spec, "grpo.rewards")),
    }
    basic = [values[path] for path in page.form.components if path in values]
    advanced = _advanced_updates(spec, advanced_values(spec))
    return [choice.kind, choice.effort, choice, *_reward_columns(choice.kind), *basic, *advanced]


def _read(page: TrainPage, kind: str, effort: str, values: Sequence[Any]) -> tuple[RunSpec, FormReading]:
    """The recipe and what the form says; a model that the page does not offer is refused, whatever a browser sends."""
    recipe = _recipe_of(page, kind, effort, values)
    reading = page.form.read(recipe, values)
    if reading.spec is not None and not is_offered(reading.spec.model.base, page.services):
        message = page.t("problem.unknown_model", name=reading.spec.model.base)
        return recipe, FormReading(None, (KnobProblem("model.base", message, message),))
    return recipe, reading


def _recipe_of(page: TrainPage, kind: str, effort: str, values: Sequence[Any]) -> RunSpec:
    strategy = dict(zip(page.form.components, values, strict=True))["strategy.name"]
    return recipe_spec(RecipeChoice(kind, strategy, effort))


def _advanced_updates(spec: RunSpec, values: Sequence[Any]) -> list[Any]:
    pairs = zip(ADVANCED, values, strict=True)
    return [gr.update(value=value, visible=KNOBS[path].is_read(spec.table, spec.kind)) for path, value in pairs]


def _reward_columns(kind: str) -> list[Any]:
    """Show or hide what only learning from rewards needs, in the order of `TrainControls.reward_columns`."""
    return [gr.Column(visible=kind == "grpo")] * 2
