"""Train: choose what learns, from what and for how long; see what that means; start it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.recipes.preview import effort_of
from backend.recipes.resolve import resolve
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES
from studio.models import is_offered, model_choices
from studio.pages.train.components import plan_panel
from studio.pages.train.controls import (
    FIRST,
    Base,
    Controls,
    Shares,
    base_spec,
    choose,
    chosen_names,
    demo_datasets,
    draw_controls,
    known,
    listed_datasets,
    listed_rewards,
    shares_of,
)
from studio.pages.train.plan import plan_of, refused, suggested_name
from studio.services import Services
from studio.ui.components import page_head
from studio.ui.form import ADVANCED, Form, Problem, Reading, is_used
from studio.ui.handover import RewardWish, Shared, Wish, opened
from studio.ui.i18n import Translate
from studio.ui.wiring import act, explained, refresh


@dataclass(frozen=True, slots=True)
class Page:
    """What the handlers of this tab share."""

    services: Services
    form: Form
    t: Translate


def build(services: Services, shared: Shared, t: Translate) -> None:
    """Lay out the tab, then wire it."""
    page_head(t("train.title"), t("train.about"))
    with gr.Row(equal_height=False, elem_classes="train-columns"):
        with gr.Column(scale=7, min_width=320):
            controls = draw_controls(base_spec(FIRST), FIRST, t)
        with gr.Column(scale=4, min_width=320, elem_classes="train-side"), gr.Column(elem_classes="card"):
            plan = plan_panel(t)
            start = gr.Button(t("train.start"), variant="primary", size="lg", elem_id="start")
    page = Page(services, Form({**controls.plain, **controls.advanced}, t), t)
    typed = [controls.kind, controls.effort, *page.form.inputs]
    asked_at = gr.Number(0, visible="hidden")  # one event draws the plan: no older answer can overtake a newer one
    name = controls.plain["name"]
    refresh(asked_at.change, partial(preview, page), typed, [plan, controls.folded, name])
    for moved in _moves(page, controls, shared):
        refresh(moved, time.time, None, asked_at)
    act(
        partial(start.click, validator=explained(partial(check, page), typed, t)),
        partial(begin, page),
        typed,
        [shared.run_id, shared.tabs],
        t=t,
    )


def _moves(page: Page, controls: Controls, shared: Shared) -> list[Any]:
    """Wire what changes the form; give the triggers after which the plan is to be drawn anew."""
    datasets, rewards, model, strategy = (
        controls.plain[path] for path in ("data.datasets", "grpo.rewards", "model.base", "strategy.name")
    )
    advanced = list(controls.advanced.values())
    wanted = [controls.kind, strategy, controls.effort]
    moved = [controls.base, datasets, rewards, *advanced]
    shown = [*moved, *controls.of_rewards]
    typing = [each.input for each in (datasets, rewards, model, controls.plain["name"], *advanced)]
    choosing = [each.input for each in wanted]
    rebased = refresh(partial(gr.on, choosing), partial(change_base, page), [*wanted, *moved], shown)
    lora_vision, vision = (controls.advanced[path] for path in ("strategy.lora_vision", "optimiser.vision_rate"))
    refresh(lora_vision.change, show_vision_rate, [strategy, lora_vision], vision)
    done = [
        rebased,
        refresh(controls.reset.click, partial(reset_advanced, page), wanted, advanced),
        refresh(datasets.shown, partial(load, page), [datasets, model, *wanted], [datasets, model]),
        refresh(rewards.shown, partial(load_rewards, page), rewards, rewards),
    ]
    sent = [
        refresh(shared.reward.change, partial(choose_reward, page), [shared.reward, *wanted[1:], *moved],
                [controls.kind, *shown]),
        refresh(shared.dataset.change, partial(choose_dataset, page), [shared.dataset, datasets], datasets),
        refresh(shared.again.change, partial(restore, page), shared.again,
                [controls.kind, controls.effort, controls.base, *controls.of_rewards, *page.form.inputs]),
    ]  # fmt: skip
    for taken in sent:
        refresh(taken.then, partial(opened, "train"), None, shared.tabs)
    return [partial(gr.on, typing), *(each.then for each in (*done, *sent))]


def load(page: Page, datasets: Shares, model: str, *wanted: str) -> tuple[Shares, Any]:
    """List what is there now; with nothing chosen yet, choose the recipe's own datasets."""
    listed = listed_datasets(page.services, datasets)
    if not chosen_names(listed):
        listed = choose(listed, demo_datasets(Base(*wanted)))
    return listed, gr.Dropdown(choices=model_choices(page.services, page.t), value=model)


def load_rewards(page: Page, rewards: Shares) -> Shares:
    """List the rewards there are now; with nothing chosen yet, choose the recipe's own."""
    listed = listed_rewards(page.services, rewards, page.t)
    if chosen_names(listed):
        return listed
    recipe = base_spec(FIRST._replace(kind="grpo"))
    return choose(listed, [share.name for share in recipe.grpo.rewards])


def change_base(page: Page, kind: str, strategy: str, effort: str, *moved: Any) -> list[Any]:
    """Follow another recipe: what the person has set stays, everything else takes the new recipe's values.

    `moved` are the choices that the form showed so far, the datasets, the rewards, then the values in the fold.
    """
    base, datasets, rewards, *advanced = moved
    was, now = Base(*base), Base(kind, strategy, effort)
    before, after = base_spec(was), base_spec(now)
    datasets = listed_datasets(page.services, datasets)  # the first list may still be on its way to the page
    if chosen_names(datasets) in (set(), set(demo_datasets(was))):
        datasets = choose(datasets, demo_datasets(now))
    if kind == "grpo":
        rewards = load_rewards(page, rewards)
    shown = zip(page.form.shown(before), page.form.shown(after), advanced, strict=True)
    values = [new if raw == old else raw for old, new, raw in shown]
    return [now, datasets, rewards, *_updates(after, values), *_of_rewards(kind)]


def show_vision_rate(strategy: str, lora_vision: bool) -> Any:
    """Offer the vision tower's rate where it learns, be it through adapters."""
    row = STRATEGIES[known(FIRST._replace(strategy=strategy))[1]]
    return gr.update(visible=row.vision != "frozen" or (row.uses_lora and bool(lora_vision)))


def reset_advanced(page: Page, kind: str, strategy: str, effort: str) -> list[Any]:
    """Show the recipe's own values again."""
    base = base_spec(Base(kind, strategy, effort))
    return _updates(base, page.form.shown(base))


def choose_dataset(page: Page, wish: Wish | None, shares: Shares) -> Shares:
    """Choose the one dataset that another tab sent here."""
    return choose(listed_datasets(page.services, shares), [wish[0]] if wish else [])


def choose_reward(page: Page, wish: RewardWish | None, strategy: str, effort: str, *moved: Any) -> list[Any]:
    """Learn from the one reward that another tab sent here, on the dataset that came with it."""
    name, _, dataset = wish or ("", 0.0, "")
    base, datasets, rewards, *advanced = moved
    listed = choose(listed_rewards(page.services, rewards, page.t), [name])
    now, datasets, *rest = change_base(page, "grpo", strategy, effort, base, datasets, listed, *advanced)
    return ["grpo", now, choose(listed_datasets(page.services, datasets), [dataset]), *rest]


def preview(page: Page, kind: str, effort: str, *values: Any) -> tuple[dict[str, Any], Any, Any]:
    """Say what Start would do: the plan, how many settings differ from the recipe, a name to go by."""
    base, reading = _read(page, kind, effort, values)
    if reading.spec is None:
        return refused(reading.problems), gr.skip(), gr.skip()
    suggestion = suggested_name(reading.spec)
    spec = reading.spec.with_values({"name": reading.spec.name or suggestion})
    rows = {manifest.name: manifest.statistics.train_rows for manifest in page.services.datasets.manifests()}
    changed = len(page.form.changed(base, spec))
    title = page.t("train.advanced.changed", count=changed) if changed else page.t("train.advanced")
    plan = plan_of(spec, effort, rows, page.services.workspace, page.t)  # type: ignore[arg-type]
    return plan, gr.Accordion(label=title), gr.Textbox(placeholder=suggestion)


def check(page: Page, kind: str, effort: str, *values: Any) -> list[dict[str, Any]]:
    """Give the verdict beside each field before anything starts."""
    verdicts = page.form.check(_base_of(page, kind, effort, values), values)
    return [gr.validate(True, ""), gr.validate(True, ""), *verdicts]


def begin(page: Page, kind: str, effort: str, *values: Any) -> tuple[str, Any]:
    """Start the run and show it. Raises StudioError with every reason why it cannot start."""
    _, reading = _read(page, kind, effort, values)
    spec = reading.spec_or_raise(page.t)
    spec = spec.with_values({"name": spec.name or suggested_name(spec)})
    run_id = page.services.launcher.submit(resolve(spec, page.services.workspace))
    return run_id, gr.Tabs(selected="runs")


def restore(page: Page, again: Wish | None) -> list[Any]:
    """Show a run's settings, so that it can be trained again, changed or not. Raises NotFoundError without one."""
    spec = page.services.runs.get(again[0] if again else "").spec
    base = Base("sft" if spec.kind == "sft" else "grpo", spec.strategy.name, effort_of(spec))
    plain = {
        "strategy.name": spec.strategy.name, "model.base": spec.model.base, "name": "",
        "data.datasets": listed_datasets(page.services, shares_of(spec, "data.datasets")),
        "grpo.rewards": load_rewards(page, shares_of(spec, "grpo.rewards")),
    }  # fmt: skip
    first = [plain[path] for path in page.form.components if path in plain]
    return [base.kind, base.effort, base, *_of_rewards(base.kind), *first, *_updates(spec, page.form.shown(spec))]


def _read(page: Page, kind: str, effort: str, values: Sequence[Any]) -> tuple[RunSpec, Reading]:
    """The recipe and what the form says; a model that the page does not offer is refused, whatever a browser sends."""
    base = _base_of(page, kind, effort, values)
    reading = page.form.read(base, values)
    if reading.spec is not None and not is_offered(reading.spec.model.base, page.services):
        said = page.t("problem.unknown_model", name=reading.spec.model.base)
        return base, Reading(None, (Problem("model.base", said, said),))
    return base, reading


def _base_of(page: Page, kind: str, effort: str, values: Sequence[Any]) -> RunSpec:
    said = dict(zip(page.form.components, values, strict=True))
    return base_spec(Base(kind, said["strategy.name"], effort))


def _updates(spec: RunSpec, values: Sequence[Any]) -> list[Any]:
    pairs = zip(ADVANCED, values, strict=True)
    return [gr.update(value=value, visible=is_used(path, spec.table, spec.kind)) for path, value in pairs]


def _of_rewards(kind: str) -> list[Any]:
    """Show or hide what only learning from rewards needs, in the order of `Controls.of_rewards`."""
    return [gr.Column(visible=kind == "grpo")] * 2
