"""Frames for the studio's own components in `gr.HTML`, and the headings that pages share."""

import html
from typing import Any

import gradio as gr

from studio.ui.i18n import Translate

SHARED_SCRIPTS = ("dom.js", "requests.js", "bubbles.js")
BUBBLE_WORDS = ("user", "assistant", "system", "image", "enlarge", "blank", "examples")


def island(
    script: str, source: str | tuple[str, ...], words: dict[str, str], events: tuple[str, ...] = (), **properties: Any
) -> gr.HTML:
    """Frame the component `script` of `window.studio`, which the last `static/js/<source>` defines.

    The script gets an object `emit` with one function for each of the `events` that it tells the server.
    """
    emit = ", ".join(f"{event}: () => trigger('{event}')" for event in events)
    sources = (source,) if isinstance(source, str) else source
    return gr.HTML(
        html_template=f"<div class='island {script}'></div>",
        js_on_load=f"window.studio.{script}(element.querySelector('.island'), props, watch, {{{emit}}})",
        head="".join(f"<script src='ui/js/{name}'></script>" for name in (*SHARED_SCRIPTS, *sources)),
        words=words,
        apply_default_css=False,
        **properties,
    )


def page_head(title: str, about: str) -> gr.HTML:
    """The title of a tab and a sentence on what it is for."""
    return gr.HTML(f"<div class='ph'><h1>{html.escape(title)}</h1><p>{html.escape(about)}</p></div>")


def card_head(title: str, step: int = 0) -> gr.HTML:
    """The title of a card, with its number where the cards are a sequence."""
    number = f"<span class='step'>{step}</span>" if step else ""
    return gr.HTML(f"<h2 class='ct'>{number}{html.escape(title)}</h2>")


def page_link() -> gr.HTML:
    """Read `?talk=<id>` and `?blind=<id>`: tells `talk` or `blind` once, where there is one. Value: {id}."""
    return island("pageLink", "playground.js", {}, ("talk", "blind"), value={}, elem_id="page-link")


def bubble_words(t: Translate) -> dict[str, str]:
    """What conversations say besides their own text."""
    return {key: t(f"bubble.{key}") for key in BUBBLE_WORDS}
