"""The Train page's own components and the words they use."""

import gradio as gr

from studio.ui.components import island
from studio.ui.i18n import Translate


def dataset_picker(t: Translate) -> gr.HTML:
    """Choose datasets and weights. Value: a list of {name, rows, weight, chosen}."""
    words = {key: t(f"train.dataset.{key}") for key in ("rows", "weight", "share")} | {
        "label": t("train.datasets"),
        "empty": t("train.empty.title"),
        "empty_help": t("train.empty.help"),
        "empty_action": t("train.empty.action"),
    }
    tells = ("input", "shown")  # a choice was made; it came into view, where what is there may have changed
    return island("datasetPicker", "train.js", words, tells, value=[], elem_id="datasets")


def reward_picker(t: Translate) -> gr.HTML:
    """Choose rewards and weights. Value: a list of {name, said, is_own, is_checked, weight, chosen}."""
    words = {key: t(f"train.reward.{key}") for key in ("weight", "unchecked", "check", "more")}
    words["label"] = t("train.rewards")
    return island("rewardPicker", "reward_picker.js", words, ("input", "shown"), value=[], elem_id="rewards")


def plan_panel(t: Translate) -> gr.HTML:
    """Show what pressing Start would do. Value: a plan as `studio.pages.train.plan` makes it."""
    keys = ("title", "part", "how", "trained", "rate", "command", "copy", "copied", "deepspeed", "problems")
    return island("planPanel", "train.js", {key: t(f"plan.{key}") for key in keys}, value={}, elem_id="plan")


def settings_table(t: Translate) -> gr.HTML:
    """The settings a run was started with. Value: {rows: [{label, value, is_changed}], command}."""
    words = {key: t(f"run.{key}") for key in ("changed", "command")}
    words |= {"copy": t("plan.copy"), "copied": t("plan.copied")}
    return island("settingsTable", "train.js", words, value={}, elem_id="run-settings")
