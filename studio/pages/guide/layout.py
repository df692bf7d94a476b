"""Guide: what every choice does and when to choose it, and the reference pages of `static/docs`."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import gradio as gr

from backend.settings import STATIC
from studio.services import Services
from studio.ui.components import island, page_head
from studio.ui.events import refresh
from studio.ui.i18n import Language, Translate
from studio.ui.shared_state import SharedState

GUIDES = STATIC / "guides"
DOCS = STATIC / "docs"
REFERENCE = ("data", "commands", "knobs", "rewards", "evaluation", "operations", "security", "measured", "architecture",
             "contributing", "decisions")  # fmt: skip
FIRST = "sft"  # what to read first; the others follow by name
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,2}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\]\((\w+)\.md\)")
TEXT = "guide-text"


def contents(t: Translate, sections: list[str], text: str) -> gr.HTML:
    """List the sections of a text to jump to; `text` is the id of the component that shows it.

    Value: {sections, open}; tells `input` after a click on a link of the text to another page, whose name is `open`.
    """
    words = {"label": t("guide.contents"), "text": text}
    return island("contents", "guide.js", words, ("input",), value={"sections": sections}, elem_id="guide-contents")


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


def reference() -> list[Guide]:
    """The pages on commands, knobs and the house, in reading order, in English only."""
    return [parsed(name, (DOCS / f"{name}.md").read_text(encoding="utf-8")) for name in REFERENCE]


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
    """Lay out the tab, then wire it."""
    written, pages = guides(cast(Language, t("guide.language"))), reference()
    first = written[0]
    page_head(t("guide.title"), t("guide.about"))
    with gr.Row(elem_classes="guide-choices"):
        guide = gr.Radio(
            [(each.title, each.name) for each in written], value=first.name, label=t("guide.choose"), show_label=False,
            elem_id="guide-choice", elem_classes="seg",
        )  # fmt: skip
        page = gr.Dropdown(
            [(each.title, each.name) for each in pages], value=None, label=t("guide.reference"), min_width=260,
            elem_id="guide-reference",
        )  # fmt: skip
    with gr.Row(equal_height=False, elem_classes="guide-columns"):
        with gr.Column(scale=3, min_width=200, elem_classes="guide-side"):
            sections = contents(t, first.sections, TEXT)
        with gr.Column(scale=9, min_width=300, elem_classes="card guide-card"):
            text = gr.Markdown(article(first), latex_delimiters=[], elem_id=TEXT)

    shown = [guide, page, sections, text]
    refresh(guide.input, partial(show, written, pages), guide, shown)
    refresh(page.input, partial(show, written, pages), page, shown)
    refresh(sections.input, partial(follow, written, pages), sections, shown)


def show(written: list[Guide], pages: list[Guide], name: str) -> tuple[str | None, str | None, dict[str, Any], str]:
    """Both choices, the sections and the text for a name; the first guide's where a browser sends another one."""
    chosen = next((each for each in (*written, *pages) if each.name == name), written[0])
    is_page = chosen in pages
    sections = {"sections": chosen.sections}
    return (None, chosen.name, sections, article(chosen)) if is_page else (chosen.name, None, sections, article(chosen))


def follow(written: list[Guide], pages: list[Guide], contents: dict[str, Any] | None) -> tuple[Any, ...]:
    """What a link of the text leads to."""
    return show(written, pages, str((contents or {}).get("open", "")))


def article(guide: Guide) -> str:
    """The whole text, with links among the pages that lead to none but the page itself."""
    return f"# {guide.title}\n\n" + _LINK.sub(r"](#page-\1)", guide.text)
