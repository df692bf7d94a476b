"""What one tab hands to another: a wish. The tab that takes it opens itself afterwards, so that it opens with it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

Wish = tuple[str, float]  # what is wished, and when: the same wish twice is two wishes
RewardWish = tuple[str, float, str]  # with the dataset to learn from; empty leaves that to the tab


@dataclass(frozen=True, slots=True)
class Shared:
    """One visitor's cross-tab states."""

    tabs: gr.Tabs  # opened with `opened(...)`: "data", "train", "rewards", "runs", "evaluate" or "playground"
    link: gr.HTML  # what the page's address asks for, as `page_link` tells it
    dataset: gr.State  # Wish of Data to Train: this dataset
    reward: gr.State  # RewardWish of Rewards to Train: learn from this reward, on this dataset
    again: gr.State  # Wish of Runs to Train: the settings of this run
    run_id: gr.State  # the run that Runs shows
    measure: gr.State  # Wish of Runs to Evaluate: this run, beside what it was trained from
    checkpoint: gr.State  # Wish of Runs to Playground: this model, as `resolve_checkpoint` takes it


def states() -> dict[str, gr.State]:
    """Make the states of a page, outside its `gr.Tabs`: in there Gradio would count each as a tab."""
    wishes = ("dataset", "reward", "again", "measure", "checkpoint")
    return {"run_id": gr.State(""), **{wish: gr.State(None) for wish in wishes}}


def opened(tab: str) -> Any:
    """What to give to `Shared.tabs` to open a tab."""
    return gr.Tabs(selected=tab)
