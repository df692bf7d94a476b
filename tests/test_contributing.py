"""What `static/docs/contributing.md` lists is all that it takes: a copy with those changes has the new thing.

One copy gets a knob, a strategy, a metric, a built-in reward and a page; one program then builds the page in both
languages from it and says where each of them is found. The tests of the catalogues run on the copy too, so that a text
that the lists forget fails.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import ROOT

LOOK = """
import json, sys
from pathlib import Path
from backend.metrics.library import METRICS
from backend.recipes.library import RECIPE_OF, load_recipe
from backend.rewards.builtin_library import builtin_summary
from backend.rewards.composition import RewardPart, compose
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from backend.spec.files import KNOBS, apply_settings, spec_from_yaml, spec_to_yaml
from backend.spec.run import RunSpec
from studio.app import build
from studio.pages.rewards.editor import list_view
from studio.services import build_services
from studio.ui.i18n import LANGUAGES, translator
from tests.scripts.generate_readme import knobs_table, strategies_table

workspace = Workspace(Path(sys.argv[1]))
workspace.prepare()
services = build_services(workspace)
configs = {language: build(services, language).get_config_file() for language in LANGUAGES}
pages = {language: json.dumps(config, default=str, ensure_ascii=False) for language, config in configs.items()}
spec = apply_settings(load_recipe(RECIPE_OF["head_only"]).spec, ["optimiser.momentum=0.5"])
space = {}
exec(compose([RewardPart("shouts", 1.0)]), space)
print(json.dumps({
    "pages": pages,
    "knob": KNOBS["optimiser.momentum"].label,
    "spec": [spec_from_yaml(spec_to_yaml(spec), source="x").optimiser.momentum, spec.table.how("head")],
    "tables": knobs_table() + strategies_table(),
    "rewards": json.dumps(list_view(RewardStore(workspace), "", translator("zh")), ensure_ascii=False),
    "metric": METRICS["first_letter"].label,
    "reward": [builtin_summary("shouts").what, space["reward"](completions=["YES", "no"])],
}))
services.runs.close()
"""


def insert(tree: Path, path: str, behind: str, text: str) -> None:
    """Write `text` behind the one place of a file that reads `behind`."""
    content = (tree / path).read_text(encoding="utf-8")
    assert content.count(behind) == 1, (path, behind)
    (tree / path).write_text(content.replace(behind, behind + text), encoding="utf-8")


def texts(tree: Path, name: str, language: str, **added: str) -> None:
    """Add texts to a catalogue; `__` stands for a dot."""
    path = tree / "static" / "locales" / language / f"{name}.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(known | {key.replace("__", "."): text for key, text in added.items()}), encoding="utf-8")


def add_knob(tree: Path) -> None:
    field = '    momentum: float = knob(0.9, label="Momentum", help="How long a step goes on", ge=0, lt=1)\n'
    insert(tree, "backend/spec/training.py", "class OptimiserKnobs(SpecModel):\n", f"{field}\n")
    texts(tree, "knobs", "zh", knob__optimiser__momentum__label="动量", knob__optimiser__momentum__help="一步持续多久")


def add_strategy(tree: Path) -> None:
    path = tree / "backend/spec/strategies.py"
    content = path.read_text(encoding="utf-8")
    content = content.replace('"llm_only", "lora_llm_full_vit"]', '"llm_only", "lora_llm_full_vit", "head_only"]')
    row = '    "head_only": Strategy("frozen", "frozen", "frozen", "full", "head_only"),\n}\n'
    content, number = re.subn(r'("lora_llm_full_vit": Strategy\([^\n]*\n)\}\n', rf"\g<1>{row}", content)
    assert number == 1
    path.write_text(content, encoding="utf-8")
    recipe = (tree / "backend/recipes/llm_only.yaml").read_text(encoding="utf-8").replace("llm_only", "head_only")
    (tree / "backend/recipes/head_only.yaml").write_text(recipe, encoding="utf-8")
    texts(
        tree, "train", "en", strategy__head_only__title="Head only", strategy__head_only__help="The last layer learns"
    )
    texts(tree, "strategies", "zh", strategy__head_only__title="仅输出层", strategy__head_only__help="只训练最后一层")


def add_metric(tree: Path) -> None:
    module = '''"""Compare the first letters of answers."""

from backend.metrics.metric import averaged, best

FIRST_LETTER = averaged(
    "first_letter",
    lambda row: best(row, lambda gold, prediction: float(gold[:1] == prediction[:1])),
    label="First letter",
    description="Answers that begin as the gold one does",
)
'''
    (tree / "backend/metrics/first_letter.py").write_text(module, encoding="utf-8")
    library = "backend/metrics/library.py"
    insert(tree, library, "import EXACT_MATCH, SIMILARITY\n", "from backend.metrics.first_letter import FIRST_LETTER\n")
    insert(tree, library, "        CIDER,\n", "        FIRST_LETTER,\n")
    texts(tree, "evaluate", "zh", measure__first_letter="首字母", measure__first_letter__says="首字母相同的回答")


def add_reward(tree: Path) -> None:
    module = '''"""Pays 1 for capital letters: the answer has no small one."""


def reward(completions: list[str], **columns: object) -> list[float | None]:
    """Score each completion by its letters."""
    return [float(text == text.upper()) for text in completions]
'''
    (tree / "backend/rewards/builtin/shouts.py").write_text(module, encoding="utf-8")
    texts(tree, "rewards", "zh", reward__shouts__about="全部大写得 1 分。", reward__shouts__what="全部大写")


def add_page(tree: Path) -> None:
    folder = tree / "studio/pages/news"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""The News page."""\n', encoding="utf-8")
    module = '''"""News: what is new."""

from studio.services import Services
from studio.ui.components import page_head
from studio.ui.i18n import Translate
from studio.ui.shared_state import SharedState


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab."""
    page_head(t("news.title"), t("news.about"))
'''
    (folder / "layout.py").write_text(module, encoding="utf-8")
    insert(tree, "studio/app.py", "from studio.pages.guide import layout as guide\n",
           "from studio.pages.news import layout as news\n")  # fmt: skip
    insert(tree, "studio/app.py", '"guide": guide,', ' "news": news,')
    for language, title, about in (("en", "News", "What is new here"), ("zh", "新闻", "最近的变化")):
        texts(tree, "common", language, tab__news=title)
        path = tree / "static" / "locales" / language / "news.json"
        path.write_text(json.dumps({"news.title": title, "news.about": about}), encoding="utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A copy of all that the studio is made of, with one new thing of each kind."""
    tree = tmp_path_factory.mktemp("tree")
    for name in ("studio", "launcher", "backend", "tests", "static"):
        skipped = shutil.ignore_patterns("__pycache__", "*.xz", "*.webp", "model")
        shutil.copytree(ROOT / name, tree / name, ignore=skipped, symlinks=True)
    (tree / "static/demo/model").symlink_to(ROOT / "static/demo/model")
    shutil.copytree(ROOT / "backend/programs/model", tree / "backend/programs/model")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tree / name)
    for add in (add_knob, add_strategy, add_metric, add_reward, add_page):
        add(tree)
    return tree


@pytest.fixture(scope="module")
def found(tree, tmp_path_factory) -> dict:
    """What a program of the copy says of the new things."""
    root = tmp_path_factory.mktemp("workspace")
    done = subprocess.run([sys.executable, "-c", LOOK, str(root)], cwd=tree, env=environment(tree),
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def environment(tree: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(tree)}


def test_a_knob_is_on_the_page_in_both_languages_in_files_and_in_the_table(found):
    assert found["knob"] == "Momentum"
    assert found["spec"][0] == 0.5
    assert "How long a step goes on" in found["pages"]["en"]
    assert "一步持续多久" in found["pages"]["zh"]
    assert "`optimiser.momentum` | `0.9`" in found["tables"]


def test_a_strategy_is_on_the_page_and_has_a_recipe(found):
    assert found["spec"][1] == "full"
    assert "Head only" in found["pages"]["en"]
    assert "| `head_only` | frozen | frozen | frozen | full | `head_only` |" in found["tables"]


def test_a_metric_can_be_chosen(found):
    assert found["metric"] == "First letter"
    assert "first_letter" in found["pages"]["en"]


def test_a_reward_can_be_composed_and_scores(found):
    assert found["reward"][0] == "capital letters"
    assert [score["overall"] for score in found["reward"][1]] == [1.0, 0.0]
    assert "全部大写" in found["rewards"]


def test_a_page_is_a_tab_in_both_languages(found):
    assert "What is new here" in found["pages"]["en"]
    assert '"news"' in found["pages"]["zh"]


def test_no_text_is_missing_and_no_rule_is_broken(tree):
    files = ("tests/studio/test_catalogues.py", "tests/test_architecture.py")
    done = subprocess.run([sys.executable, "-m", "pytest", "-n", "0", "-q", "-p", "no:cacheprovider", *files], cwd=tree,
                          env=environment(tree), capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
