"""The Rewards page's own components and their words; values come from `editor`, `composer` and `dry_runs`."""

from typing import get_args

import gradio as gr

from backend.rewards.dry_run import AnswerKind, WarningCode
from backend.runs.folder import STATES
from studio.ui.components import bubble_words, island
from studio.ui.i18n import Translate

_SCRIPTS = ("weights.js", "rewards.js")


def reward_list(t: Translate) -> gr.HTML:
    """Choose among the rewards, or begin one. Value: {chosen, own, builtin}, made by `list_view`."""
    keys = ("new", "new.help", "compose", "compose.help", "own", "own.none", "ready_ones")
    words = {key: t(f"rewards.{key}") for key in keys}
    return island("rewardList", _SCRIPTS, words, ("input", "shown"), value={}, elem_id="reward-list")


def reward_head(t: Translate) -> gr.HTML:
    """The chosen reward in words. Value: {title, about, badge, tone}."""
    return island("rewardHead", _SCRIPTS, {"title": t("rewards.title")}, value={}, elem_id="reward-head")


def reward_composer(t: Translate) -> gr.HTML:
    """Ready rewards with boxes and weights. Value: {parts: [{name, about, weight, chosen}]}."""
    words = {"label": t("compose.parts"), "weight": t("compose.weight")}
    return island("rewardComposer", _SCRIPTS, words, ("input",), value={}, elem_id="reward-composer")


def pay_sentence(t: Translate) -> gr.HTML:
    """What the chosen parts pay. Value: {sentence} or {problem, hint}."""
    return island("paySentence", _SCRIPTS, {"title": t("compose.pays")}, value={}, elem_id="pay-sentence")


def reward_findings(t: Translate) -> gr.HTML:
    """What stands out in the text. Value: {is_saved, findings}."""
    keys = ("title", "line", "none", "unsaved", "saved", "error", "warning")
    words = {key: t(f"findings.{key}") for key in keys}
    return island("rewardFindings", _SCRIPTS, words, value={}, elem_id="reward-findings")


def dry_run_report(t: Translate) -> gr.HTML:
    """A dry run as it goes, then what it found; it fetches that itself. Value: {run_id}."""
    keys = ("none", "none_help", "queued", "waiting", "under_runs", "loading", "checking", "unreached", "failed",
            "no_report", "passed", "passed_warned", "not_passed", "flat", "flat_none", "flat_one", "flat_row",
            "warnings", "gold_answer", "gold_side", "kind", "answer", "total", "ms", "table", "printed", "traceback",
            "whole", "more", "by")  # fmt: skip
    words = {key: t(f"check.{key}") for key in keys} | bubble_words(t)
    words |= {f"kind.{kind}": t(f"check.kind.{kind}") for kind in get_args(AnswerKind)}
    words |= {f"paid.{kind}": t(f"check.paid.{kind}") for kind in get_args(AnswerKind)}
    words |= {f"warn.{code}": t(f"check.warn.{code}") for code in get_args(WarningCode)}
    words |= {f"state.{state}": t(f"state.{state}") for state in STATES}
    return island("dryRunReport", _SCRIPTS, words, ("done",), value={}, elem_id="dry-run-report")
