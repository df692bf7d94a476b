"""The login page: one form, in the page's language, without Gradio. Also where the browser goes afterwards."""

import html
import re
from string import Template
from urllib.parse import quote, urlsplit

from backend.settings import STATIC
from studio.i18n import Language, translator

PAGES: dict[str, Language] = {"/": "en", "/zh/": "zh"}
HOME: dict[Language, str] = {language: path for path, language in PAGES.items()}
MOST_NEXT = 2000  # characters
_TEXTS = ("title", "heading", "about", "name", "password", "button", "no_account", "other")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")


def login_page(language: Language, wanted: str = "", typed: str = "", said: str = "") -> str:
    """Draw the page.

    Args:
        language: the page's.
        wanted: where to go afterwards, as it came from outside.
        typed: the name that was typed before.
        said: what went wrong before, in words.
    """
    t = translator(language)
    words = {key: t(f"login.{key}") for key in _TEXTS}
    after = next_page(wanted, language)
    asks = "" if after == HOME[language] else f"?next={quote(after, safe='')}"
    filled = words | {
        "app": t("app.name"), "lang": "zh-CN" if language == "zh" else "en",
        "next": after, "typed": typed, "said": said,
        "other_lang": "en" if language == "zh" else "zh-CN",
        "other_page": ("../login" if language == "zh" else "zh/login") + asks,
        "first": "" if typed else "autofocus", "second": "autofocus" if typed else "",
        "hidden": "" if said else "hidden",
    }  # fmt: skip
    page = (STATIC / "pages" / "login.html").read_text(encoding="utf-8")
    return Template(page).substitute({key: html.escape(text) for key, text in filled.items()})


def next_page(wanted: str, language: Language) -> str:
    """A page of this studio with its question, as `next=` may name it; the page of the language for anything else."""
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return HOME[language]
    is_plain = len(wanted) <= MOST_NEXT and not _UNSAFE.search(wanted)
    if not is_plain or parts.scheme or parts.netloc or parts.path not in PAGES or not wanted.startswith(parts.path):
        return HOME[language]
    return parts.path + (f"?{quote(parts.query, safe='=&%+,:;@/!$()*~-._')}" if parts.query else "")


def from_login(page: str, language: Language) -> str:
    """The way from a language's login page to another page, relative, so that any proxy's prefix stays."""
    return ("." if language == "en" else "..") + page
