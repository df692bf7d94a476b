"""The Runs page's own components and the words they use. They fetch their numbers from `routes.metrics` themselves."""

import gradio as gr

from backend.runs.folder import STATES
from backend.spec.strategies import STRATEGY_NAMES
from studio.ui.components import bubble_words, island
from studio.ui.i18n import Translate

PHASES = ("loading", "training", "evaluating", "saving", "checking", "answering", "judging")
METRICS = (  # what the programs report; another one is shown by its own name
    "loss", "eval_loss", "exact_match", "similarity", "box_iou", "grad_norm", "epoch", "language_rate", "merger_rate",
    "vision_rate", "samples_per_second", "tokens_per_second", "reward", "reward_std", "frac_reward_zero_std", "entropy",
    "kl", "completions/mean_length", "completions/min_length", "completions/max_length", "completions/clipped_ratio",
    "clip_ratio/region_mean", "clip_ratio/low_mean", "clip_ratio/high_mean", "cispo_clip_ratio", "vespo/phi_seq_mean",
    "policy_loss", "entropy_coef",
)  # fmt: skip
OF_A_REWARD = ("mean", "std", "error_rate", "seconds")  # ends of metrics that each reward, or part of one, brings
_WATCHER = "run_watcher.js"  # before each script that draws what it knows


def run_devices(t: Translate) -> gr.HTML:
    """Say who holds which device."""
    words = {key: t(f"devices.{key}") for key in ("title", "free", "held", "chat", "open")}
    return island("runDevices", (_WATCHER, "runs.js"), words, elem_id="run-devices")


def run_list(t: Translate) -> gr.HTML:
    """List the runs and choose among them. Value: {id, state, has_model} of the chosen one."""
    keys = ("search", "more", "found_none", "compare", "compare_run", "unreached", "waiting", "step_of", "row_of",
            "left", "none", "none_help")  # fmt: skip
    words = {key: t(f"runs.{key}") for key in keys} | _run_words(t)
    return island("runList", (_WATCHER, "runs.js"), words, value={}, elem_id="run-list")


def run_tiles(t: Translate) -> gr.HTML:
    """The chosen run in numbers, and why it ended."""
    words = {
        key: t(f"tile.{key}")
        for key in (
            "loss_now",
            "reward_now",
            "bad_lines",
            "flat",
            "rows",
            "exact_match",
            "step",
            "speed",
            "samples_per_second",
            "time_left",
            "took",
        )
    }
    return island("runTiles", (_WATCHER, "runs.js"), words | _run_words(t), elem_id="run-tiles")


def run_chart(t: Translate) -> gr.HTML:
    """Curves of one metric, with a sentence for each."""
    keys = (
        "title",
        "metric",
        "smoothing",
        "reset",
        "blank",
        "blank_check",
        "no_chart",
        "story",
        "story_none",
        "at_step",
    )
    words = {key: t(f"chart.{key}") for key in keys} | {"step": t("tile.step")}
    words |= {f"metric.{key}": t(f"metric.{key}") for key in (*METRICS, *(f"of.{end}" for end in OF_A_REWARD))}
    return island("runChart", (_WATCHER, "run_chart.js"), words, elem_id="run-chart")


def run_answers(t: Translate) -> gr.HTML:
    """Answers of the chosen run to validation rows; they are fetched by the browser."""
    keys = ("title", "step", "at", "untrained", "which", "all", "wrong", "changed", "right", "not_right", "gold",
            "given", "given_cut", "before", "none", "back", "next", "where")  # fmt: skip
    words = {key: t(f"answers.{key}") for key in keys} | bubble_words(t)
    return island("runAnswers", (_WATCHER, "run_answers.js"), words, elem_id="run-answers")


def run_rollouts(t: Translate) -> gr.HTML:
    """Answers that the chosen run drew while it learned from rewards; they are fetched by the browser."""
    keys = ("title", "step", "at", "untrained", "older", "newer", "newest", "search", "found", "found_more",
            "found_none", "in.question", "in.gold", "in.answer", "gold", "reward", "advantage", "advantage_help",
            "answer", "tokens", "cut", "no_reward", "flat", "values", "table", "back", "next", "where")  # fmt: skip
    words = {key: t(f"rollouts.{key}") for key in keys} | bubble_words(t)
    return island("runRollouts", (_WATCHER, "run_answers.js"), words, elem_id="run-rollouts")


def run_log(t: Translate) -> gr.HTML:
    """What the chosen run's program noted, and its log as it grows."""
    words = {"title": t("run.log"), "log_empty": t("run.log_empty")}
    return island("runLog", (_WATCHER, "runs.js"), words, elem_id="run-log")


def settings_table(t: Translate) -> gr.HTML:
    """The settings a run was started with. Value: {rows: [{label, value, is_changed}], command}."""
    words = {key: t(f"run.{key}") for key in ("changed", "command")}
    words |= {"copy": t("plan.copy"), "copied": t("plan.copied")}
    return island("settingsTable", (_WATCHER, "runs.js"), words, value={}, elem_id="run-settings")


def _run_words(t: Translate) -> dict[str, str]:
    words = {name: t(f"time.{name}") for name in ("seconds", "minutes", "hours", "days")}
    words |= {f"state.{state}": t(f"state.{state}") for state in STATES}
    words |= {f"kind.{kind}": t(f"kind.{kind}") for kind in ("grpo", "reward_check", "evaluation")}
    words |= {f"phase.{phase}": t(f"phase.{phase}") for phase in PHASES}
    return words | {f"strategy.{name}": t(f"strategy.{name}.title") for name in STRATEGY_NAMES}
