"""Guide: what every choice does and when to choose it, from the Markdown files of `static/guides`."""

from functools import partial
from typing import cast

import gradio as gr

from studio.guides import Guide, guides
from studio.i18n import Language, Translate
from studio.islands.guide import contents
from studio.islands.headings import page_head
from studio.services import Services
from studio.shared import Shared
from studio.wiring import refresh

TEXT = "guide-text"


def build(services: Services, shared: Shared, t: Translate) -> None:  # noqa: ARG001 - every tab is built alike
    """Lay out the tab, then wire it. The choice among guides shows where there is more than one."""
    written = guides(cast(Language, t("guide.language")))
    first = written[0]
    page_head(t("guide.title"), t("guide.about"))
    chosen = gr.Radio(
        [(guide.title, guide.name) for guide in written], value=first.name, label=t("guide.choose"), show_label=False,
        visible=len(written) > 1, elem_id="guide-choice", elem_classes="seg",
    )  # fmt: skip
    with gr.Row(equal_height=False, elem_classes="guide-columns"):
        with gr.Column(scale=3, min_width=200, elem_classes="guide-side"):
            sections = contents(t, first.sections, TEXT)
        with gr.Column(scale=9, min_width=300, elem_classes="card guide-card"):
            text = gr.Markdown(_article(first), latex_delimiters=[], elem_id=TEXT)

    refresh(chosen.change, partial(show, written), chosen, [sections, text])


def show(written: list[Guide], name: str) -> tuple[list[str], str]:
    """The sections and the text of the guide of this name; of the first one where a browser sends no such name."""
    guide = next((guide for guide in written if guide.name == name), written[0])
    return guide.sections, _article(guide)


def _article(guide: Guide) -> str:
    return f"# {guide.title}\n\n{guide.text}"
