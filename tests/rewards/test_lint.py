from pathlib import Path

import pytest

from backend.rewards.lint import COLUMNS, MAX_CHARACTERS, LintFinding, lint, wants_text

GOOD = "def reward(completions, answer, **kwargs):\n    return [1.0 for _ in completions]\n"


def messages(text: str, level: str) -> list[str]:
    return [finding.message for finding in lint(text) if finding.level == level]


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "async def reward(completions):\n    return []",
        "from trl.rewards import think_format_reward as reward",
        "from mine import reward",
        "from mine import *",
        "import mine as reward",
        "from trl.rewards import get_soft_overlong_punishment\nreward = get_soft_overlong_punishment(100, 20)",
        "reward: object = make()",
        "try:\n    from mine import reward\nexcept ImportError:\n    def reward(completions):\n        return []",
        "def reward(*, completions, log_metric, other=None):\n    return []",
        "@cached\ndef reward(anything):\n    return []",
        "def reward(completion_ids, **kwargs):\n    return []",
        "def reward(completions, " + ", ".join(COLUMNS) + "):\n    return []",
    ],
)
def test_what_can_work_has_no_finding(text):
    assert lint(text) == []


@pytest.mark.parametrize("place", ["{}\n" + GOOD, "@{}\n" + GOOD, "def reward(completions, x={}):\n    return []"])
def test_r1_linting_executes_nothing(tmp_path, place):
    sentinel = tmp_path / "ran"

    lint(place.format(f"__import__('pathlib').Path({str(sentinel)!r}).touch()"))
    wants_text(place.format(f"__import__('pathlib').Path({str(sentinel)!r}).touch()"))

    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("def reward(completions:\n    pass", 1),
        ("x = 1\nif x\n    pass", 2),
        ("x = 1\ny = '\0'", 2),
        ("x = 1\ny = '\ud800'", 2),
        ("(" * 500 + ")" * 500, 1),
        ("-" * 50_000 + "1", 1),
        ("x = " + "1+" * 40_000 + "1", 1),
        ("x" * (MAX_CHARACTERS + 1), 1),
        ("", 1),
        ("\ufeff\x0c", 1),
    ],
)
def test_r1_what_cannot_be_read_is_one_error_with_its_line(text, line):
    (finding,) = lint(text)

    assert (finding.level, finding.line) == ("error", line)
    assert finding.column >= 1
    assert finding.hint
    assert not wants_text(text)


def test_a_strange_escape_is_no_finding():
    assert lint("import re\nPATTERN = '\\d'\n" + GOOD) == []


@pytest.mark.parametrize("text", ["x = 1", "def score(completions):\n    return []", "class reward: pass",
                                  "def outer():\n    def reward(completions):\n        return []"])  # fmt: skip
def test_a_source_without_a_reward_is_told_how_to_start(text):
    assert lint(text) == [
        LintFinding(1, 1, "error", "The source does not define `reward` at its top level",
                "Start with `def reward(completions, answer, **kwargs):`"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("(prompts)", ["`reward` takes neither `completions` nor `**kwargs`, so it cannot see the answers"]),
        ("(completions, /, **kwargs)",
         ["`completions` may only be passed by position, but rewards are called by keyword"]),
    ],
)  # fmt: skip
def test_a_signature_that_cannot_be_called_is_an_error(head, said):
    assert messages(f"def reward{head}:\n    return []", "error") == said


@pytest.mark.parametrize("head", ["(completions, gold)", "(completions, *, gold, x=1)"])
def test_a_parameter_that_only_some_rows_have_is_a_warning(head):
    text = f"def reward{head}:\n    return []"

    assert messages(text, "error") == []
    assert messages(text, "warning") == ["`gold` is handed over only where the rows have a column of that name"]


def test_the_hint_for_an_unknown_parameter_lists_what_there_is():
    (finding,) = lint("def reward(completions,\n           gold):\n    return []")

    assert (finding.line, finding.column) == (2, 12)
    assert all(name in finding.hint for name in COLUMNS)


TRAPS = {
    "return [float(c in a or a in c) for c, a in zip(x, y)]": "empty answer",
    "return [1.0 if c.strip() in a else 0.0 for c, a in zip(completions, answer)]": "empty answer",
    "for c, a in zip(completions, solution):\n        x = c[0]['content'].lower() in a.lower()": "empty answer",
    "return 0.0": "one number",
    "try:\n        return []\n    except:\n        return [0.0]": "hides every mistake",
    "try:\n        return []\n    except BaseException:\n        return [0.0]": "hides every mistake",
    "import requests": "`requests`: rewards have no network",
    "from urllib import request": "`urllib.request`: rewards have no network",
    "return [float(open(p).read()) for p in images]": "`open` reaches only",
}


@pytest.mark.parametrize(("body", "said"), TRAPS.items())
def test_a_known_trap_is_a_warning(body, said):
    (message,) = messages(f"def reward(completions, answer, solution, **kwargs):\n    {body}\n", "warning")

    assert said in message


@pytest.mark.parametrize(
    "body",
    [
        "return [float(a in c) for c, a in zip(completions, answer)]",
        "return [float(c in ('yes', 'no')) for c, a in zip(completions, answer)]",
        "return [float(c != '' and c and c in a) for c, a in zip(completions, answer)]",
        "return [float(c in words or a in words) for c, a in zip(completions, answer)]",
        "key = lambda x: 0\n    def one(c):\n        return 1.0\n    return [one(c) for c in completions]",
        "try:\n        return []\n    except ValueError:\n        return [None]",
        "try:\n        return []\n    except BaseException:\n        raise",
        "from urllib.parse import quote\n    from PIL import Image\n    return [Image.open(p) for p in images]",
        "return None",
    ],
)
def test_what_only_looks_like_a_trap_is_no_finding(body):
    assert lint(f"def reward(completions, answer, **kwargs):\n    {body}\n") == []


@pytest.mark.parametrize("annotation", ["list[str]", "List[str]", "typing.List[str]", "'list[str]'", "list[ str ]"])
def test_an_annotated_reward_gets_texts(annotation):
    assert wants_text(f"def reward(completions: {annotation}, **kwargs):\n    return []")
    assert wants_text(f"async def reward(*, completions: {annotation}):\n    return []")


@pytest.mark.parametrize("text", [GOOD, "from x import reward", "def reward(completions: list[dict]): ...",
                                  "def reward(completions, answer: list[str]): ..."])  # fmt: skip
def test_any_other_reward_gets_conversations(text):
    assert not wants_text(text)


def test_the_files_of_this_project_can_be_linted():
    files = sorted(Path(__file__).parent.glob("*.py"))

    assert len(files) >= 3
    assert all(lint(path.read_text(encoding="utf-8")) for path in files)
