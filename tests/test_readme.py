"""What the README and the pages of the docs claim is what the code has."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from backend.settings import ROOT
from studio.cli.main import app
from tests.scripts.generate_readme import knobs_table, strategies_table
from tests.scripts.readme import PAGES

README = (ROOT / "README.md").read_text(encoding="utf-8")
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
PATH = re.compile(r"`((?:studio|launcher|backend|static|tests)/[\w./-]*)`")


def test_the_two_commands_stand_as_agreed():
    assert "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/studio\n" in README
    assert "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest\n" in README


def test_the_readme_is_read_in_minutes():
    assert len(README.encode()) <= 10 * 1024


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_and_link_of_a_page_leads_somewhere(page: Path):
    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]

    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_page_is_named_in_the_readme():
    named = set(re.findall(r"\]\(static/docs/(\w+)\.md\)", README))
    assert named == {page.stem for page in PAGES if page.name != "README.md"}


def test_the_generated_tables_are_current():
    assert strategies_table() in TEXT, "run python -m tests.scripts.generate_readme"
    assert knobs_table() in TEXT, "run python -m tests.scripts.generate_readme"


STUDIO = typer.main.get_command(app)
TABLE = [line for line in TEXT.splitlines() if line.startswith("| `studio")]
CALLS = re.findall(r"^(?:\.venv/bin/)?studio\b[^#\n]*", TEXT, re.MULTILINE)
CALLS += [call for call in re.findall(r"`(studio [^`|]*)`", TEXT) if "[" not in call]


def options_of(command):
    """Those that `--help` lists, but for itself."""
    return {name for param in command.params for name in (*param.opts, *param.secondary_opts) if name.startswith("--")}


def commands_of(words):
    """The commands that the words of a call may mean: `runs show|logs RUN` means two."""
    found = [STUDIO]
    for word in words:
        inner = [each.commands for each in found if hasattr(each, "commands")]
        named = [commands[name] for commands in inner for name in word.split("|") if name in commands]
        if not named:
            break
        found = named
    return found


def test_the_table_of_commands_names_options_that_the_commands_have():
    checked = 0
    for line in TABLE:
        first, rest = line.strip("|").replace("\\|", "/").split("|", 1)
        calls = re.findall(r"`studio ?([^`]*)`", first)
        known = [options_of(command) for call in calls for command in commands_of(call.replace("/", "|").split())]
        named = re.findall(r"--[a-z][\w-]*", line)
        assert {option for option in named if not any(option in each for each in known)} == set(), line
        assert rest.strip()
        checked += len(named)
    assert checked > 40


def test_every_call_that_is_shown_names_options_of_its_command():
    checked = 0
    for call in CALLS:
        words = shlex.split(call.replace("...", "").replace("'", ""))[1:]
        known = set().union(*map(options_of, commands_of(words)))
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= known | {"--help"}, call
        checked += len(named)
    assert checked > 10


def test_the_web_app_takes_the_same_options_with_and_without_its_command():
    def told(command):
        return {(*p.opts, str(p.default), p.help) for p in command.params if "completion" not in p.name}

    assert told(STUDIO) == told(STUDIO.commands["ui"])
    assert len(told(STUDIO)) == 7
    row = next(line for line in TABLE if "`studio ui`" in line)
    assert set(re.findall(r"`(--[\w-]+)`", row)) == options_of(STUDIO.commands["ui"])


def test_every_command_is_named():
    commands = set(STUDIO.commands)
    missing = {name for name in commands if not re.search(rf"`studio {name}\b", TEXT)}
    assert len(commands) >= 8
    assert not missing


def test_every_measured_section_is_filled():
    sections = re.findall(r"<!-- (measured:\w+) -->\n(.*?)<!-- /\1 -->", TEXT, re.DOTALL)
    assert len(sections) == TEXT.count("<!-- measured:")
    assert [name for name, text in sections if len(text) < 80] == []


def test_the_tree_has_the_folders_of_the_drawing():
    drawn = set(re.findall(r"^(\w+)/ ", TEXT, re.MULTILINE))
    assert drawn == {"studio", "launcher", "backend", "static", "tests", "data", "output"}
    allowed = drawn | {"README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "screenshots", "rewards"}
    present = {path.name for path in ROOT.iterdir() if not path.name.startswith(".") and path.name != "__pycache__"}
    assert present <= allowed
