"""The guides name only what exists, say the same in both languages, and are what the tab shows."""

import math
import re
import shlex
from itertools import pairwise
from typing import Any, get_args

import httpx
import pytest
from typer.main import get_command

from backend.catalog.models import CATALOGUE
from backend.catalog.trainable_parameters import memory_by_strategy
from backend.demo.datasets import DEMO_DATASETS
from backend.image_size import tokens_for_image
from backend.programs.training import grpo_warnings as alarms
from backend.recipes.library import load_recipe
from backend.rewards.builtin_library import builtin_names
from backend.rewards.dry_run import FLAT_SHARE
from backend.rewards.lint import lint, wants_text
from backend.rewards.sandbox.client import SECURITY_STATEMENT
from backend.spec.files import KNOBS, apply_settings
from backend.spec.grpo import GrpoKnobs
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES, STRATEGY_NAMES
from studio.cli.main import app
from studio.pages.guide.layout import DOCS, GUIDES, REFERENCE, article, follow, guides, parsed, reference, show
from studio.ui.formatting import gigabytes
from studio.ui.i18n import LANGUAGES, Language

FILES = sorted(GUIDES.glob("*/*.md"))
NAMES = sorted({path.name for path in FILES})
KNOB = re.compile(r"[a-z]+\.[a-z_]+")
FILE_ENDINGS = ("json", "jsonl", "md", "yaml", "png", "csv", "zip")

per_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def inline(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def knobs_in(text: str) -> set[str]:
    words = {word.partition("=")[0] for word in inline(text)}
    return {word for word in words if KNOB.fullmatch(word) and not word.endswith(FILE_ENDINGS)}


def commands_in(text: str) -> list[list[str]]:
    lines = [line for block in blocks(text) for line in block.splitlines()] + inline(text)
    return [shlex.split(line, comments=True) for line in lines if re.match(r"studio( |$)", line)]


def parse(words: list[str]) -> dict[str, Any]:
    """Read a command line as the studio would, without running it; an unknown command or option raises."""
    command, (name, *rest) = get_command(app), words
    while rest and (commands := getattr(command, "commands", None)):
        assert rest[0] in commands, f"`{name}` has no command `{rest[0]}`"
        command, (name, *rest) = commands[rest[0]], rest
    return command.make_context(name, rest).params


def table_below(text: str, first_cell: str) -> list[list[str]]:
    """The cells of the table whose head starts with `first_cell`, without head and rule."""
    lines = text[text.index(f"| {first_cell} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_there_are_guides_to_look_through():
    assert [path.relative_to(GUIDES).as_posix() for path in FILES if path.stem == "sft"] == ["en/sft.md", "zh/sft.md"]
    assert len(FILES) == len(LANGUAGES) * len(NAMES)


@per_file
def test_every_knob_in_a_guide_exists(path):
    named = knobs_in(path.read_text(encoding="utf-8"))

    assert len(named) >= 10
    assert named - KNOBS.keys() == set()


@per_file
def test_every_command_in_a_guide_can_be_given(path):
    commands = commands_in(path.read_text(encoding="utf-8"))

    assert len(commands) >= 5
    for words in commands:
        given = parse(words)
        apply_settings(RunSpec(), given.get("settings") or ())


@pytest.mark.parametrize("wrong", ["studio trian lora", "studio train lora --dateset x", "studio runs mend x"])
def test_a_command_that_does_not_exist_would_be_noticed(wrong: str):
    with pytest.raises(Exception, match=r"trian|dateset|mend"):
        parse(shlex.split(wrong))


@pytest.mark.parametrize("name", NAMES)
def test_both_languages_have_the_same_sections_code_knobs_and_tables(name):
    english, chinese = ((GUIDES / language / name).read_text(encoding="utf-8") for language in LANGUAGES)

    def drawing(text: str) -> list[str]:
        return re.findall(r"^#+ |^\|[-|]+\|$|^- |^\d\. ", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)

    assert len(parsed(name, english).sections) == len(parsed(name, chinese).sections)
    assert drawing(english) == drawing(chinese)
    assert blocks(english) == blocks(chinese)
    assert knobs_in(english) == knobs_in(chinese)
    assert commands_in(english) == commands_in(chinese)


@per_file
def test_a_guide_holds_no_html_and_nothing_from_elsewhere(path):
    text = path.read_text(encoding="utf-8")

    assert not re.search(r"<\w|https?:|!\[", text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_numbers_of_the_sft_guide_are_those_of_the_code(language):
    text = (GUIDES / language / "sft.md").read_text(encoding="utf-8")
    first = {"en": ("strategy", "estimate, one GPU", "what learns"), "zh": ("策略", "单卡估算", "学习的部分")}[language]
    words = {"frozen": ("frozen", "冻结"), "full": ("in full", "全量"), "lora": ("adapters", "适配器")}
    strategies, memory, rates = (table_below(text, cell) for cell in first)

    shown = {row[0].strip("`"): row[1:] for row in strategies}
    assert shown.keys() == set(STRATEGY_NAMES)
    for name, cells in shown.items():
        for cell, part in zip(cells, ("vision", "merger", "language", "head"), strict=True):
            assert cell.startswith(words[STRATEGIES[name].how(part)]), (name, part)

    order = re.findall(r"`(\w+)`", text[text.index(f"| {first[1]} |") :].splitlines()[0])
    models = {model.title: model for model in CATALOGUE.values()}
    for title, *cells in memory:
        estimated = memory_by_strategy(models[title].parts)
        assert cells == [gigabytes(estimated[strategy]) for strategy in order]

    released = models["Qwen2.5-VL 3B"].rates
    starts = [float(row[2]) for row in rates]
    assert starts == [released.language_full, released.language_lora, released.merger, released.vision]

    bounds = RunSpec().model
    assert f"{bounds.max_pixels:,}" in text
    assert tokens_for_image(3000, 4000, bounds.min_pixels, bounds.max_pixels) == 540
    assert "540" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_numbers_of_the_grpo_guide_are_those_of_the_code(language):
    text = (GUIDES / language / "grpo.md").read_text(encoding="utf-8")
    heads = {"en": ("reward", "setting", "what learns", "loss"), "zh": ("奖励", "设置项", "学习的部分", "损失")}
    ready, settings, rates, losses = (table_below(text, cell) for cell in heads[language])

    assert {row[0].strip("`") for row in ready} == set(builtin_names())
    assert len(settings) >= 10
    for name, default, _ in settings:
        knob = name.strip("`").removeprefix("grpo.")
        assert default == str(getattr(GrpoKnobs(), knob)), knob

    released = CATALOGUE["Qwen/Qwen2.5-VL-3B-Instruct"].rates
    taken = [released.language_full * released.rewarded, released.language_lora * released.rewarded]
    assert [float(row[2]) for row in rates] == pytest.approx(taken)

    named = GrpoKnobs.model_fields["loss"].annotation
    assert [row[0].strip("`") for row in losses] == list(get_args(named))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_batch_of_the_grpo_guide_is_the_recipe_s(language):
    text = (GUIDES / language / "grpo.md").read_text(encoding="utf-8")
    spec = load_recipe("grpo").spec
    size, passes, group = spec.batching.batch_size, spec.batching.accumulation_steps, spec.grpo.generations
    demo = next(each for each in DEMO_DATASETS if each.name == "night-shapes")
    rows, questions = round(demo.rows * (1 - demo.validation_share)), spec.samples_per_step // group
    steps = math.ceil(rows * spec.optimiser.epochs / questions)

    assert f"{size} × {passes} × 1 = {spec.samples_per_step} " in text
    assert re.search(rf"{rows} \S+ × {spec.optimiser.epochs:g} \S+ / {questions} \D+{steps} ", text)
    assert len(re.findall(rf"\b{steps} (?:steps|步)", text)) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_thresholds_of_the_grpo_guide_are_those_of_the_code(language):
    text = (GUIDES / language / "grpo.md").read_text(encoding="utf-8")
    told = table_below(text, {"en": "alarm", "zh": "警报"}[language])
    limits = (f"{alarms.FLAT:.0%}", f"{alarms.CUT:.0%}", f"{alarms.CERTAIN_NATS}", f"{alarms.LONGER}",
              f" {alarms.APART:.0f}", f"{alarms.MISTAKEN:.0%}", "")  # fmt: skip

    assert len(told) == len(limits)
    for (name, when, _), limit in zip(told, limits, strict=True):
        assert limit in when, name
    assert re.search(rf"\b{alarms.WINDOW} (?:steps|步)", text)
    assert f"{FLAT_SHARE:.0%}" in text

    group = GrpoKnobs().generations
    for share, often in ((0.5, 99), (0.02, 15), (0.98, 15)):
        assert round(100 * (1 - share**group - (1 - share) ** group)) == often
        assert re.search(rf"\b{often}\b", text)


def test_the_grpo_guide_says_of_reward_code_what_the_studio_says():
    assert SECURITY_STATEMENT in (GUIDES / "en" / "grpo.md").read_text(encoding="utf-8")


def test_the_reward_in_the_grpo_guide_works():
    text = (GUIDES / "en" / "grpo.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    space: dict[str, Any] = {}
    exec(source, space)  # as the worker would
    logged: dict[str, float] = {}
    answers = ["It is BK-40.", "RX-15", "BK-40 BK-40", "", "blue"]

    paid = space["reward"](
        completions=answers, answer=["BK-40"] * 4 + ["2"], log_metric=logged.__setitem__, id=["a"] * len(answers)
    )

    assert lint(source) == []
    assert wants_text(source)
    assert [each and each["overall"] for each in paid] == [1.1, 0.1, 0.0, 0.0, None]
    assert logged == {"codes_named": 0.8}


def test_a_guide_without_its_title_is_refused():
    assert parsed("x", "# Title\n\ntext\n\n```bash\n## no heading\n```\n\n## `One`\n").sections == ["One"]
    for wrong in ("## Section\n", "# One\n\n# Two\n", "text\n"):
        with pytest.raises(ValueError, match="`x` must start"):
            parsed("x", wrong)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tab_shows_the_guides(language: Language, ask: httpx.Client):
    page = ask.get("/config" if language == "en" else "/zh/config").json()
    shown = {each["props"].get("elem_id"): each["props"] for each in page["components"]}
    written = guides(language)

    assert written[0].name == "sft"
    assert len(written) == len(NAMES)
    assert shown["guide-contents"]["value"] == {"sections": written[0].sections}
    assert written[0].text in shown["guide-text"]["value"]
    assert shown["guide-choice"]["choices"] == [[guide.title, guide.name] for guide in written]
    assert shown["guide-reference"]["choices"] == [[page.title, page.name] for page in reference()]


def test_another_guide_is_shown_with_its_own_sections():
    one, two = parsed("sft", "# One\n\n## A\n\na\n"), parsed("grpo", "# Two\n\n## B\n\nb\n")

    assert show([one, two], [], "grpo") == ("grpo", None, {"sections": ["B"]}, "# Two\n\n## B\n\nb")
    assert show([one], [two], "grpo") == (None, "grpo", {"sections": ["B"]}, "# Two\n\n## B\n\nb")
    assert show([one, two], [], "../../secret") == ("sft", None, {"sections": ["A"]}, "# One\n\n## A\n\na")


def test_every_page_of_the_reference_is_offered_and_its_links_lead_to_one():
    pages = reference()

    assert {path.stem for path in DOCS.glob("*.md")} == set(REFERENCE)
    for page in pages:
        assert not re.search(r"\]\((?!https?:|#page-)", article(page)), page.name
        for name in re.findall(r"\]\(#page-(\w+)\)", article(page)):
            assert follow(guides("en"), pages, {"open": name})[1] == name


def test_sections_come_in_the_order_of_the_text():
    for guide in guides("en"):
        places = [guide.text.replace("`", "").index(f"## {section}") for section in guide.sections]
        assert all(earlier < later for earlier, later in pairwise(places))
