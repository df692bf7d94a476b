"""Guide: what every choice does and when to choose it, from the Markdown files of `static/guides`."""

import re
from dataclasses import dataclass
from functools import partial
from typing import cast

import gradio as gr

from backend.settings import STATIC
from studio.services import Services
from studio.ui.components import island, page_head
from studio.ui.events import refresh
from studio.ui.i18n import Language, Translate
from studio.ui.shared_state import SharedState

GUIDES = STATIC / "guides"
FIRST = "sft"  # what to read first; the others follow by name
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,2}) (.+)$", re.MULTILINE)
TEXT = "guide-text"


def contents(t: Translate, sections: list[str], text: str) -> gr.HTML:
    """List the sections of a text to jump to. Value: their headings in order; `text` is the id of the component."""
    words = {"label": t("guide.contents"), "text": text}
    return island("contents", "guide.js", words, value=sections, elem_id="guide-contents")


@dataclass(frozen=True, slots=True)
class Guide:
    """One guide in one language."""

    name: str  # its file's: "sft"
    title: str  # its heading of the first level
    sections: list[str]  # its headings of the second level, in order, without Markdown
    text: str  # Markdown below the title


def guides(language: Language) -> list[Guide]:
    """All guides of a language, the one to read first in front. Raises ValueError for a file without its title."""
    paths = (GUIDES / language).glob("*.md")
    ordered = sorted(paths, key=lambda path: (path.stem != FIRST, path.stem))
    return [parsed(path.stem, path.read_text(encoding="utf-8")) for path in ordered]


def parsed(name: str, markdown: str) -> Guide:
    """Take a guide apart. Raises ValueError where it does not start with exactly one title."""
    headings = _HEADING.findall(_FENCE.sub("", markdown))
    titles = [text for mark, text in headings if mark == "#"]
    title, _, text = markdown.partition("\n")
    if titles != [title.removeprefix("# ")]:
        raise ValueError(f"the guide `{name}` must start with its one title, and has {titles}")
    sections = [text.replace("`", "") for mark, text in headings if mark == "##"]
    return Guide(name, titles[0], sections, text.strip())


def build(services: Services, shared: SharedState, t: Translate) -> None:  # noqa: ARG001 - every tab is built alike
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
