"""What the README claims is what the code has."""

import re

from backend.settings import ROOT
from studio.cli.main import app
from tests.scripts.generate_readme import knobs_table, strategies_table
from tests.scripts.readme import PAGES

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_two_commands_stand_as_agreed():
    assert "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/studio\n" in TEXT
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n" in TEXT


def test_the_generated_tables_are_current():
    assert strategies_table() in TEXT, "run python -m tests.scripts.generate_readme"
    assert knobs_table() in TEXT, "run python -m tests.scripts.generate_readme"


def test_every_command_is_named():
    import typer

    commands = set(typer.main.get_command(app).commands)
    missing = {name for name in commands if not re.search(rf"`studio {name}\b", TEXT)}
    assert len(commands) >= 8
    assert not missing


def test_every_measured_section_is_filled():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    sections = re.findall(r"<!-- (measured:\w+) -->\n(.*?)<!-- /\1 -->", text, re.DOTALL)
    assert len(sections) == text.count("<!-- measured:")
    assert [name for name, text in sections if len(text) < 80] == []


def test_the_tree_has_the_folders_of_the_drawing():
    drawn = set(re.findall(r"^(\w+)/ ", TEXT, re.MULTILINE))
    assert drawn == {"studio", "launcher", "backend", "static", "tests", "data", "rewards", "output"}
    allowed = drawn | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "screenshots"}
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"}
    assert present <= allowed
