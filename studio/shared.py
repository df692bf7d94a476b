"""What one tab hands to another: a wish for the next tab, and the switch that opens it."""

from dataclasses import dataclass

import gradio as gr


@dataclass(frozen=True, slots=True)
class Shared:
    """One visitor's cross-tab states. A moment beside a name makes the same wish twice two wishes."""

    tabs: gr.Tabs  # hand `gr.Tabs(selected=...)` to it: "data", "train", "runs" or "playground"
    dataset: gr.State  # (name, moment): chosen in Data to be trained on
    again: gr.State  # (run id, moment): chosen in Runs, its settings to be used again in Train
    run_id: gr.State  # the run that Runs shows
    checkpoint: gr.State  # what Playground talks to, as `resolve_checkpoint` takes it


def states() -> dict[str, gr.State]:
    """Make the states of a page, outside its `gr.Tabs`: in there Gradio would count each as a tab."""
    return {"dataset": gr.State(None), "again": gr.State(None), "run_id": gr.State(""), "checkpoint": gr.State("")}
