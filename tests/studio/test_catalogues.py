"""Both languages say everything, with the same places to fill, and no tab says anything by itself."""

import ast
import re
from pathlib import Path

import pytest

from backend.datasets.problems import CODES
from backend.settings import ROOT
from studio.ui.i18n import LANGUAGES, catalogue, translator

SHOWN = {"label", "info", "placeholder", "title"}  # arguments whose text a person reads
DRAWN = {"Button", "Markdown", "Tab", "Accordion", "Info", "Warning"}  # components whose first argument is one
DRAWERS = [
    *sorted((ROOT / "studio" / "pages").glob("*/[a-z]*.py")),
    *sorted((ROOT / "studio" / "ui").glob("[a-z]*.py")),
    ROOT / "studio" / "app.py",
]
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))


def places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w*)\}", text))


def test_both_languages_have_the_same_keys():
    english, chinese = catalogue("en"), catalogue("zh")

    assert len(english) > 400
    assert english.keys() ^ chinese.keys() == set()


def test_both_languages_have_the_same_places_to_fill():
    english, chinese = catalogue("en"), catalogue("zh")

    assert {key for key in english if places(english[key]) != places(chinese[key])} == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_left_over(language):
    assert {key for key, text in catalogue(language).items() if not text.strip() or "TODO" in text} == set()


def test_chinese_texts_are_chinese():
    """A text without one Chinese character was forgotten, unless it is a name, a unit or a number."""
    known = {"app.name", "head.other"}
    plain = {key: text for key, text in catalogue("zh").items() if not re.search(r"[\u4e00-\u9fff]", text)}

    forgotten = {key for key, text in plain.items() if key not in known and re.search(r"[a-z]{4,} [a-z]{3,}", text)}
    assert forgotten == set()


def test_every_code_of_an_import_has_a_title_and_a_hint():
    for language in LANGUAGES:
        strings = catalogue(language)
        missing = {code for code in CODES if {f"problem.{code}.title", f"problem.{code}.hint"} - strings.keys()}
        assert missing == set()


def test_every_text_is_read_by_somebody():
    """A key stands in the code as it is, or an f-string makes it that begins with its first word."""
    literals, patterns = set(), []
    for path in [path for package in ("studio", "launcher", "backend") for path in (ROOT / package).rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                literals.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values]
                patterns.append("".join(parts))
    made = re.compile("|".join(pattern for pattern in patterns if re.match(r"\w+\\\.", pattern)))

    assert {key for key in catalogue("en") if key not in literals and not made.fullmatch(key)} == set()


def test_an_unknown_key_is_an_error_and_values_are_filled_in():
    t = translator("en")

    assert t("data.card", rows="3", images="2") == "3 rows · 2 images"
    with pytest.raises(KeyError):
        t("no.such.key")


def test_there_are_files_to_look_through():
    assert len(DRAWERS) >= 8
    assert len(SCRIPTS) >= 6


@pytest.mark.parametrize("path", DRAWERS, ids=lambda path: path.name)
def test_tabs_take_every_text_from_the_catalogues(path: Path):
    literal = []
    for call in [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]:
        named = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        texts = [word.value for word in call.keywords if word.arg in SHOWN]
        texts += call.args[:1] if named in DRAWN else []
        texts += [word.value for word in call.keywords if word.arg == "value" and named in DRAWN]
        literal += [
            (call.lineno, part.value)
            for text in texts
            for part in _literals(text)
            if re.search(r"[^\W\d_]{2}", part.value)
        ]

    assert literal == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_write_no_words_of_their_own_and_nothing_as_html(path: Path):
    script = re.sub(r"//.*|/\*.*?\*/", "", path.read_text(encoding="utf-8"))

    assert not re.search(r"insertAdjacentHTML|outerHTML\s*=|document\.write|\.innerHTML\s*=[^=]", script)
    assert not re.findall(r"(?:textContent|title|placeholder|ariaLabel)\s*=\s*[\"'`][A-Za-z]{2,}", script)


def _literals(node: ast.expr) -> list[ast.Constant]:
    """The string constants that become part of a text; those inside `t(...)` and other calls are keys."""
    if isinstance(node, ast.Constant):
        return [node] if isinstance(node.value, str) else []
    if isinstance(node, ast.Call):
        return []
    return [found for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr) for found in _literals(child)]
