"""What one tab hands to another: a request. The tab that takes it opens itself afterwards, so that it opens with it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

TabRequest = tuple[str, float]  # what is asked for, and when: the same request twice is two
RewardRequest = tuple[str, float, str]  # with the dataset to learn from; empty leaves that to the tab


@dataclass(frozen=True, slots=True)
class SharedState:
    """One visitor's cross-tab states."""

    tabs: gr.Tabs  # opened with `select_tab(...)`: "data", "train", "rewards", "runs", "evaluate" or "playground"
    link: gr.HTML  # what the page's address asks for, as `page_link` tells it
    dataset: gr.State  # TabRequest of Data to Train: this dataset
    reward: gr.State  # RewardRequest of Rewards to Train: learn from this reward, on this dataset
    rerun: gr.State  # TabRequest of Runs to Train: the settings of this run
    run_id: gr.State  # the run that Runs shows
    evaluation: gr.State  # TabRequest of Runs to Evaluate: this run, beside what it was trained from
    checkpoint: gr.State  # TabRequest of Runs to Playground: this model, as `resolve_checkpoint` takes it


def new_states() -> dict[str, gr.State]:
    """Make the states of a page, outside its `gr.Tabs`: in there Gradio would count each as a tab."""
    requests = ("dataset", "reward", "rerun", "evaluation", "checkpoint")
    return {"run_id": gr.State(""), **{request: gr.State(None) for request in requests}}


def select_tab(tab: str) -> Any:
    """What to give to `SharedState.tabs` to open a tab."""
    return gr.Tabs(selected=tab)
