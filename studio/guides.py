"""The guides that people read in the app: one Markdown file each, in both languages, from `static/guides`."""

import re
from dataclasses import dataclass

from backend.settings import STATIC
from studio.i18n import Language

GUIDES = STATIC / "guides"
FIRST = "sft"  # what to read first; the others follow by name
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,2}) (.+)$", re.MULTILINE)


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
