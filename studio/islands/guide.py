"""The Guide page's own component."""

import gradio as gr

from studio.i18n import Translate
from studio.islands.island import island


def contents(t: Translate, sections: list[str], text: str) -> gr.HTML:
    """List the sections of a text to jump to. Value: their headings in order; `text` is the id of the component."""
    words = {"label": t("guide.contents"), "text": text}
    return island("contents", "guide.js", words, value=sections, elem_id="guide-contents")
