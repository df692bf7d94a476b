"""Train: choose what learns, from what and for how long; see what that means; start it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import gradio as gr

from backend.errors import SpecError
from backend.recipes.efforts import EFFORTS, with_effort
from backend.recipes.library import RECIPE_OF, load_recipe
from backend.recipes.resolve import resolve
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES
from studio.i18n import Translate
from studio.islands.headings import card_head, page_head
from studio.islands.train import dataset_picker, plan_panel
from studio.planning.form import ADVANCED, Form, Problem, Reading, draw, is_used
from studio.planning.model_choices import catalogue_choices, is_offered, model_choices
from studio.planning.plan import plan_of, refused, suggested_name
from studio.planning.preview import effort_of
from studio.services import Services
from studio.shared import Shared, opened
from studio.wiring import act, refresh

FIRST = ("lora", "balanced")  # strategy and effort that the page opens with
Shares = list[dict[str, Any]]  # rows of the dataset picker


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
            plain, effort, folded, reset, advanced = _choices(t)
        with gr.Column(scale=4, min_width=320, elem_classes="train-side"), gr.Column(elem_classes="card"):
            plan = plan_panel(t)
            start = gr.Button(t("train.start"), variant="primary", size="lg", elem_id="start")
    page = Page(services, Form({**plain, **advanced}, t), t)
    base = gr.State(FIRST)
    picker, name, model, strategy = (plain[path] for path in ("data.datasets", "name", "model.base", "strategy.name"))
    typed = [effort, *page.form.inputs]
    asked_at = gr.Number(0, visible="hidden")  # one event draws the plan: no older answer can overtake a newer one
    refresh(asked_at.change, partial(preview, page), typed, [plan, folded, name])

    def replan(trigger: Any) -> None:
        refresh(trigger, time.time, None, asked_at)

    replan(partial(gr.on, [component.input for component in (picker, name, model, *advanced.values())]))
    moved = [base, picker, *advanced.values()]
    rebase = partial(change_base, page)
    replan(refresh(partial(gr.on, [strategy.input, effort.input]), rebase, [strategy, effort, *moved], moved).then)
    vision = advanced["optimiser.vision_rate"]
    refresh(
        advanced["strategy.lora_vision"].change, show_vision_rate, [strategy, advanced["strategy.lora_vision"]], vision
    )
    replan(refresh(reset.click, partial(reset_advanced, page), [strategy, effort], list(advanced.values())).then)
    replan(refresh(picker.shown, partial(load, page), [picker, strategy, model], [picker, model]).then)
    sent = refresh(shared.dataset.change, partial(choose_dataset, page), [shared.dataset, picker], picker)
    asked = refresh(shared.again.change, partial(restore, page), shared.again, [effort, base, *page.form.inputs])
    for taken in (sent, asked):
        replan(taken.then)
        refresh(taken.then, partial(opened, "train"), None, shared.tabs)
    act(
        partial(start.click, validator=partial(check, page)),
        partial(begin, page),
        typed,
        [shared.run_id, shared.tabs],
        t=t,
    )


def _choices(t: Translate) -> tuple[dict[str, Any], gr.Radio, gr.Accordion, gr.Button, dict[str, Any]]:
    """The left column: the plain knobs by path, the effort, the fold with its button, the advanced knobs by path."""
    base = _base(*FIRST)
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.strategy"), 1)
        cards = [(f"{t(f'strategy.{name}.title')}\n{t(f'strategy.{name}.help')}", name) for name in RECIPE_OF]
        strategy = gr.Radio(
            cards, value=FIRST[0], label=t("knob.strategy.name.label"), show_label=False, container=False,
            elem_classes="cards", elem_id="strategy",
        )  # fmt: skip
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.data"), 2)
        picker = dataset_picker(t)
        gr.Markdown(t("train.datasets.help"), elem_classes="hint")
        with gr.Row():
            model = gr.Dropdown(
                catalogue_choices(t), value=base.model.base, label=t("knob.model.base.label"), elem_id="model",
                allow_custom_value=True,  # what is offered changes, also over a restart: `_read` refuses the rest
            )  # fmt: skip
            name = gr.Textbox(label=t("knob.name.label"), max_lines=1, max_length=120, elem_id="run-name")
    with gr.Column(elem_classes="card"):
        card_head(t("train.step.effort"), 3)
        lengths = [(f"{t(f'effort.{effort}')}\n{t(f'effort.{effort}.help')}", effort) for effort in EFFORTS]
        effort = gr.Radio(
            lengths, value=FIRST[1], label=t("effort.label"), show_label=False, container=False,
            elem_classes="cards seg", elem_id="effort",
        )  # fmt: skip
        with gr.Accordion(t("train.advanced"), open=False, elem_id="advanced") as folded:
            advanced = _advanced(base, t)
            reset = gr.Button(t("train.advanced.reset"), size="sm", elem_id="reset-advanced")
    plain = {"strategy.name": strategy, "data.datasets": picker, "model.base": model, "name": name}
    return plain, effort, folded, reset, advanced


def _advanced(base: RunSpec, t: Translate) -> dict[str, Any]:
    drawn = {}
    for group, paths in groupby(ADVANCED, key=lambda path: path.partition(".")[0]):
        gr.Markdown(f"#### {t(f'group.{group}')}", elem_classes="group")
        with gr.Row(elem_classes="knobs"):
            for path in paths:
                drawn[path] = draw(path, base, t, visible=is_used(path, base.table), min_width=200)
    return drawn


def load(page: Page, shares: Shares, strategy: str, model: str) -> tuple[Shares, Any]:
    """List the datasets and models that are there now; with nothing chosen yet, choose the recipe's own datasets."""
    listed = _merged(page.services, shares if isinstance(shares, list) else [])
    if not any(share["chosen"] for share in listed):
        listed = _choose(listed, load_recipe(RECIPE_OF[_known(strategy)]).demo_datasets)
    return listed, gr.Dropdown(choices=model_choices(page.services, page.t), value=model)


def change_base(
    page: Page, strategy: str, effort: str, base: tuple[str, str], shares: Shares, *advanced: Any
) -> list[Any]:
    """Follow another recipe: what the person has set stays, everything else takes the new recipe's values."""
    before, after = _base(*base), _base(strategy, effort)
    demo_before = set(load_recipe(before.recipe).demo_datasets)
    if {share["name"] for share in shares if share["chosen"]} == demo_before:
        shares = _choose(shares, load_recipe(after.recipe).demo_datasets)
    shown = zip(page.form.shown(before), page.form.shown(after), advanced, strict=True)
    values = [new if raw == old else raw for old, new, raw in shown]
    return [(strategy, effort), shares, *_updates(after, values)]


def show_vision_rate(strategy: str, lora_vision: bool) -> Any:
    """Offer the vision tower's rate where it learns, be it through adapters."""
    row = STRATEGIES[_known(strategy)]
    return gr.update(visible=row.vision != "frozen" or (row.uses_lora and bool(lora_vision)))


def reset_advanced(page: Page, strategy: str, effort: str) -> list[Any]:
    """Show the recipe's own values again."""
    base = _base(strategy, effort)
    return _updates(base, page.form.shown(base))


def choose_dataset(page: Page, wish: tuple[str, float] | None, shares: Shares) -> Shares:
    """Choose the one dataset that another tab sent here."""
    return _choose(_merged(page.services, shares), [wish[0]] if wish else [])


def preview(page: Page, effort: str, *values: Any) -> tuple[dict[str, Any], Any, Any]:
    """Say what Start would do: the plan, how many settings differ from the recipe, a name to go by."""
    base, reading = _read(page, effort, values)
    if reading.spec is None:
        return refused(reading.problems), gr.skip(), gr.skip()
    suggestion = suggested_name(reading.spec)
    spec = reading.spec.with_values({"name": reading.spec.name or suggestion})
    rows = {manifest.name: manifest.statistics.train_rows for manifest in page.services.datasets.manifests()}
    changed = len(page.form.changed(base, spec))
    title = page.t("train.advanced.changed", count=changed) if changed else page.t("train.advanced")
    plan = plan_of(spec, effort, rows, page.services.workspace, page.t)  # type: ignore[arg-type]
    return plan, gr.Accordion(label=title), gr.Textbox(placeholder=suggestion)


def check(page: Page, effort: str, *values: Any) -> list[dict[str, Any]]:
    """Give the verdict beside each field before anything starts."""
    return [gr.validate(True, ""), *page.form.check(_base_of(page, effort, values), values)]


def begin(page: Page, effort: str, *values: Any) -> tuple[str, Any]:
    """Start the run and show it. Raises StudioError with every reason why it cannot start."""
    _, reading = _read(page, effort, values)
    spec = reading.spec_or_raise(page.t)
    spec = spec.with_values({"name": spec.name or suggested_name(spec)})
    run_id = page.services.launcher.submit(resolve(spec, page.services.workspace))
    return run_id, gr.Tabs(selected="runs")


def restore(page: Page, again: tuple[str, float]) -> list[Any]:
    """Show a run's settings, so that it can be trained again, changed or not."""
    spec = page.services.runs.get(again[0]).spec
    effort = effort_of(spec)
    shares = [{"name": share.name, "weight": share.weight, "chosen": True} for share in spec.data.datasets]
    plain = {"strategy.name": spec.strategy.name, "data.datasets": _merged(page.services, shares),
             "model.base": spec.model.base, "name": ""}  # fmt: skip
    first = [plain[path] for path in page.form.components if path in plain]
    return [effort, (spec.strategy.name, effort), *first, *_updates(spec, page.form.shown(spec))]


def _read(page: Page, effort: str, values: Sequence[Any]) -> tuple[RunSpec, Reading]:
    """The recipe and what the form says; a model that the page does not offer is refused, whatever a browser sends."""
    base = _base_of(page, effort, values)
    reading = page.form.read(base, values)
    if reading.spec is not None and not is_offered(reading.spec.model.base, page.services):
        said = page.t("problem.unknown_model", name=reading.spec.model.base)
        return base, Reading(None, (Problem("model.base", said, said),))
    return base, reading


def _base_of(page: Page, effort: str, values: Sequence[Any]) -> RunSpec:
    said = dict(zip(page.form.components, values, strict=True))
    return _base(said["strategy.name"], effort)


def _base(strategy: str, effort: str) -> RunSpec:
    """The recipe's spec at that effort. Raises SpecError for words that the page never offered."""
    if effort not in EFFORTS:
        raise SpecError(f"`{effort}` is no length of training", hint=f"Choose one of {', '.join(EFFORTS)}")
    return with_effort(load_recipe(RECIPE_OF[_known(strategy)]).spec, effort)


def _known(strategy: str) -> Any:
    if strategy not in RECIPE_OF:
        raise SpecError(f"`{strategy}` is no strategy", hint=f"Choose one of {', '.join(RECIPE_OF)}")
    return strategy


def _updates(spec: RunSpec, values: Sequence[Any]) -> list[Any]:
    pairs = zip(ADVANCED, values, strict=True)
    return [gr.update(value=value, visible=is_used(path, spec.table)) for path, value in pairs]


def _merged(services: Services, shares: Shares) -> Shares:
    """All datasets, newest first, with the choices and weights that were made."""
    made = {share.get("name"): share for share in shares if isinstance(share, dict)}
    fresh = {"weight": 1, "chosen": False}
    return [
        fresh
        | {key: made.get(manifest.name, {}).get(key, fresh[key]) for key in fresh}
        | {"name": manifest.name, "rows": manifest.statistics.train_rows}
        for manifest in services.datasets.manifests()
    ]


def _choose(shares: Shares, names: Sequence[str]) -> Shares:
    """Choose exactly these, where one of them is there; else leave the choice as it was."""
    if not any(share["name"] in names for share in shares):
        return shares
    return [share | {"chosen": share["name"] in names} for share in shares]
