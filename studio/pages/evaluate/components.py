"""The Evaluate page's own components and the words they use. They fetch their numbers from `routes.evaluations`."""

import gradio as gr

from backend.metrics.library import METRICS
from backend.runs.folder import STATES
from studio.pages.evaluate.answers import WHICH
from studio.ui.components import bubble_words, island
from studio.ui.i18n import Translate


def evaluation_list(t: Translate) -> gr.HTML:
    """The evaluations there are. Value: {chosen, evaluations: [{id, name, said, state}]}."""
    words = {key: t(f"evaluate.{key}") for key in ("list", "none", "none_help")}
    words |= {f"state.{state}": t(f"state.{state}") for state in STATES}
    return island("evaluationList", "evaluate.js", words, ("input", "shown"), value={}, elem_id="evaluation-list")


def evaluation_report(t: Translate) -> gr.HTML:
    """The chosen evaluation as it runs, then what it found. Value: {run_id}; tells `done` when it has just ended."""
    keys = ("choose", "choose_help", "queued", "loading", "answering", "judging", "waiting", "so_far", "failed",
            "stopped", "rows", "interval", "cut", "unread", "per_second", "groups", "too_long", "same",
            "trouble", "details", "left", "close_safe")  # fmt: skip
    words = {key: t(f"evaluate.{key}") for key in keys}
    words |= {name: t(f"time.{name}") for name in ("seconds", "minutes", "hours", "days")}
    words |= {f"state.{state}": t(f"state.{state}") for state in STATES}
    return island("evaluationReport", "evaluate.js", words, ("done",), value={}, elem_id="evaluation-report")


def answer_wall(t: Translate) -> gr.HTML:
    """The chosen evaluation's rows. Value: {run_id, labels}; tells `apply` with {marks, sent} in it."""
    keys = ("title", "which", "metric", "gold", "also", "cut", "score", "fix", "fix_label", "keep",
            "undo", "exclude", "hard", "fixed", "excluded", "hardened", "pending", "apply", "discard", "none", "back",
            "next", "where", "gold_box", "given_box", "empty")  # fmt: skip
    words = {key: t(f"wall.{key}") for key in keys} | bubble_words(t)
    words |= {f"which.{which}": t(f"wall.which.{which}") for which in WHICH}
    words |= {f"measure.{name}": t(f"measure.{name}") for name in METRICS}
    return island("answerWall", "evaluate.js", words, ("apply",), value={}, elem_id="answer-wall")
