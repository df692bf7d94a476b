"""What the page's address asks for. It stands outside the tabs, because a tab is not there before it is opened."""

import gradio as gr

from studio.islands.island import island


def page_link() -> gr.HTML:
    """Read `?talk=<id>` and `?blind=<id>`: tells `talk` or `blind` once, where there is one. Value: {id}."""
    return island("pageLink", "playground.js", {}, ("talk", "blind"), value={}, elem_id="page-link")
