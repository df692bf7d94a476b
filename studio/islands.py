"""The studio's own components: a bare frame in `gr.HTML`, brought to life by a script of `static/js`.

A frame never holds a value: Gradio reads templates as program text, so `{{name}}` of a hostile name would run.
Values reach the scripts as data, and the scripts write them as text.
"""

import html
from typing import Any

import gradio as gr

from studio.i18n import Translate

_SCRIPTS = ("ui/js/dom.js", "ui/js/train.js")
_RUN_SCRIPTS = ("ui-vendor/bokeh.min.js", "ui/js/dom.js", "ui/js/chart.js", "ui/js/runs.js", "ui/js/runs_views.js")
_DURATIONS = {"seconds": "time.seconds", "minutes": "time.minutes", "hours": "time.hours", "days": "time.days"}
_STATES = ("queued", "starting", "running", "stopping", "finished", "failed", "stopped", "lost")
_METRICS = ("loss", "grad_norm", "epoch", "language_rate", "merger_rate", "vision_rate", "samples_per_second",
            "tokens_per_second")  # fmt: skip
_STRATEGIES = ("full", "lora", "qlora", "vit_only", "llm_only", "lora_llm_full_vit")


def page_head(title: str, about: str) -> gr.HTML:
    """The title of a tab and a sentence on what it is for."""
    return gr.HTML(f"<div class='ph'><h1>{html.escape(title)}</h1><p>{html.escape(about)}</p></div>")


def card_head(title: str, step: int = 0) -> gr.HTML:
    """The title of a card, with its number where the cards are a sequence."""
    number = f"<span class='step'>{step}</span>" if step else ""
    return gr.HTML(f"<h2 class='ct'>{number}{html.escape(title)}</h2>")


def dataset_picker(t: Translate) -> gr.HTML:
    """Choose datasets and weights. Value: a list of {name, rows, weight, chosen}."""
    keys = ("rows", "weight", "share", "unused")
    words = {key: t(f"train.dataset.{key}") for key in keys} | {
        "label": t("train.datasets"),
        "empty": t("train.empty.title"),
        "empty_help": t("train.empty.help"),
        "empty_action": t("train.empty.action"),
    }
    tells = ("input", "shown")  # a choice was made; it came into view, where what is there may have changed
    return _island("datasetPicker", "<div class='picker'></div>", _SCRIPTS, words, tells, value=[], elem_id="datasets")


def plan_panel(t: Translate) -> gr.HTML:
    """Show what pressing Start would do. Value: a plan as `studio.plan` makes it."""
    keys = ("title", "part", "how", "trained", "rate", "command", "copy", "copied", "problems")
    words = {key: t(f"plan.{key}") for key in keys}
    return _island("planPanel", "<div class='plan'></div>", _SCRIPTS, words, value={}, elem_id="plan")


def run_list(t: Translate) -> gr.HTML:
    """List the runs and choose among them. Value: {id, state, has_model} of the chosen one."""
    keys = ("compare", "compare_run", "unreached", "waiting", "step_of", "left", "none", "none_help")
    words = {key: t(f"runs.{key}") for key in keys} | _run_words(t)
    return _island("runList", "<div class='runs'></div>", _RUN_SCRIPTS, words, value={}, elem_id="run-list")


def run_tiles(t: Translate) -> gr.HTML:
    """The chosen run in numbers, and why it ended."""
    words = {key: t(f"tile.{key}") for key in ("loss_now", "step", "speed", "samples_per_second", "time_left", "took")}
    return _island("runTiles", "<div class='tiles'></div>", _RUN_SCRIPTS, words | _run_words(t), elem_id="run-tiles")


def run_chart(t: Translate) -> gr.HTML:
    """Curves of one metric, with a sentence for each."""
    words = {key: t(f"chart.{key}") for key in ("story", "story_none", "at_step", "no_chart")}
    words |= {f"metric.{key}": t(f"metric.{key}") for key in _METRICS} | {"step": t("tile.step")}
    label = {key: html.escape(t(f"chart.{key}")) for key in ("title", "metric", "smoothing", "reset", "blank")}
    frame = (
        f"<div class='chart-bar'><h2 class='ct'>{label['title']}</h2>"
        f"<label>{label['metric']} <select></select></label>"
        f"<label>{label['smoothing']} <input type='range' min='0' max='0.98' step='0.02'></label>"
        f"<button type='button' class='quiet'>{label['reset']}</button></div>"
        f"<div class='stage'><div class='chart' aria-hidden='true'></div><p class='blank'>{label['blank']}</p></div>"
        "<ul class='legend'></ul>"
    )
    return _island("runChart", frame, _RUN_SCRIPTS, words, elem_id="run-chart")


def run_log(t: Translate) -> gr.HTML:
    """The chosen run's notes and its log as it grows."""
    title = html.escape(t("run.log"))
    frame = (
        f"<h2 class='ct'>{title}</h2><ul class='notes'></ul>"
        f"<pre class='log' role='log' aria-live='off' tabindex='0' aria-label='{title}'></pre>"
    )
    return _island("runLog", frame, _RUN_SCRIPTS, {"log_empty": t("run.log_empty")}, elem_id="run-log")


def run_settings(t: Translate) -> gr.HTML:
    """The settings a run was started with. Value: {rows: [{label, value, is_changed}], command}."""
    words = {key: t(f"run.{key}") for key in ("setting", "value", "changed", "command")}
    words |= {"copy": t("plan.copy"), "copied": t("plan.copied")}
    return _island("settingsTable", "<div class='settings'></div>", _SCRIPTS, words, value={}, elem_id="run-settings")


def _run_words(t: Translate) -> dict[str, str]:
    words = {name: t(key) for name, key in _DURATIONS.items()}
    words |= {f"state.{state}": t(f"state.{state}") for state in _STATES}
    words |= {f"phase.{phase}": t(f"phase.{phase}") for phase in ("loading", "training", "saving")}
    return words | {f"strategy.{name}": t(f"strategy.{name}.title") for name in _STRATEGIES}


def _island(
    script: str,
    frame: str,
    sources: tuple[str, ...],
    words: dict[str, str],
    tells: tuple[str, ...] = (),
    **shown: Any,
) -> gr.HTML:
    """Frame `script` of `window.studio`; `sources`, relative to the page, are loaded before it, in order, once.

    The script gets an object `tell` with one function for each event that it `tells` the server.
    """
    tell = ", ".join(f"{event}: () => trigger('{event}')" for event in tells)
    return gr.HTML(
        html_template=frame,
        js_on_load=f"window.studio.{script}(element, props, watch, {{{tell}}})",
        head="".join(f"<script src='{source}'></script>" for source in sources),
        words=words,
        apply_default_css=False,
        **shown,
    )
