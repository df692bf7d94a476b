"""What one tab hands to another: a wish. The tab that takes it opens itself afterwards, so that it opens with it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

Wish = tuple[str, float]  # what is wished, and when: the same wish twice is two wishes


@dataclass(frozen=True, slots=True)
class Shared:
    """One visitor's cross-tab states."""

    tabs: gr.Tabs  # opened with `opened(...)`: "data", "train", "runs" or "playground"
    dataset: gr.State  # Wish of Data to Train: this dataset
    again: gr.State  # Wish of Runs to Train: the settings of this run
    run_id: gr.State  # the run that Runs shows
    checkpoint: gr.State  # Wish of Runs to Playground: this model, as `resolve_checkpoint` takes it


def states() -> dict[str, gr.State]:
    """Make the states of a page, outside its `gr.Tabs`: in there Gradio would count each as a tab."""
    return {"dataset": gr.State(None), "again": gr.State(None), "run_id": gr.State(""), "checkpoint": gr.State(None)}


def opened(tab: str) -> Any:
    """What to give to `Shared.tabs` to open a tab."""
    return gr.Tabs(selected=tab)
