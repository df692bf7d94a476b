"""Rewards in words: the composer's sentence, what stands out in a text, what is saved, and a dry run's report."""

from itertools import combinations
from pathlib import Path

import pytest

from backend.errors import SpecError
from backend.rewards.builtin_library import builtin_names
from backend.rewards.composition import RewardPart, compose
from backend.rewards.contract import Isolation
from backend.rewards.dry_run import DryRunReport, DryRunReward, DryRunRow, DryRunWarning, ScoredAnswer, write_report
from backend.rewards.lint import lint
from backend.rewards.store import RewardStore
from backend.settings import ROOT, Workspace
from backend.store.runs import RunStore
from studio.pages.rewards import layout
from studio.pages.rewards.composer import composer_view, parts_of, sentence
from studio.pages.rewards.dry_runs import DryRunRequest, check_view, dry_run_spec, last_dry_run
from studio.pages.rewards.editor import (
    COMPOSE,
    FIRST,
    NEW,
    EditorState,
    copy_name,
    findings_view,
    key_of,
    list_view,
    save_reward,
    template,
)
from studio.services import build_services
from studio.ui.i18n import LANGUAGES, translator

EN, ZH = translator("en"), translator("zh")
COMPOSED_BY_AN_EARLIER_VERSION = ROOT / "tests" / "rewards" / "composed_by_an_earlier_version.txt"
WEIGHTS = ((1.0,), (-2.5,), (1.0, 0.2), (1.0, -0.5), (-1.0, -1.0), (0.5, -0.25, 3.0))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return workspace


@pytest.fixture
def store(workspace: Workspace) -> RewardStore:
    return RewardStore(workspace)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([RewardPart("exact_match", 1)], "Pays 1 for an exact match."),
        ([RewardPart("box_iou", 2.5)], "Pays up to 2.5 for boxes that overlap the gold ones."),
        (
            [RewardPart("exact_match", 1), RewardPart("length", 0.2)],
            "Pays 1 for an exact match, plus up to 0.2 for at most 40 words; at most 1.2 in all.",
        ),
        (
            [RewardPart("length", -0.2), RewardPart("exact_match", 1), RewardPart("format_tags", 0.1)],
            "Pays 1 for an exact match, plus 0.1 for the asked form, minus up to 0.2 for at most 40 words; "
            "between -0.2 and 1.1 in all.",
        ),
        (
            [RewardPart("exact_match", -1), RewardPart("length", -0.5)],
            "Takes away 1 for an exact match, and up to 0.5 for at most 40 words; at most 1.5 in all.",
        ),
    ],
)
def test_a_sentence_says_what_is_paid(parts, said):
    assert sentence(parts, EN) == said


@pytest.mark.parametrize("weights", WEIGHTS, ids=str)
def test_the_sentence_names_every_part_in_both_languages(weights: tuple[float, ...]):
    for names in combinations(builtin_names(), len(weights)):
        parts = [RewardPart(name, weight) for name, weight in zip(names, weights, strict=True)]

        for t in (EN, ZH):
            assert all(t(f"reward.{name}.what") in sentence(parts, t) for name in names)


def test_nothing_is_said_of_no_parts():
    with pytest.raises(SpecError, match="No part is chosen"):
        sentence([], EN)


@pytest.mark.parametrize("weight", [0, None, "1", True, float("nan"), float("inf"), 1001])
def test_a_weight_that_is_none_is_refused_by_the_part_s_name(weight: object):
    view = composer_view([RewardPart("length", 1.0)], EN)
    for part in view["parts"]:
        part["weight"] = weight if part["name"] == "length" else 1.0

    with pytest.raises(SpecError, match="length"):
        parts_of(view, EN)


@pytest.mark.parametrize("view", [None, [], {"parts": None}, {"parts": [1]}, {}])
def test_what_a_browser_makes_up_chooses_no_part(view: object):
    assert parts_of(view, EN) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_template_can_be_saved_as_it_is(language):
    text = template(translator(language))

    assert lint(text) == []
    assert findings_view(text, None) == {"is_saved": False, "findings": []}


def test_one_mistake_of_a_line_is_told_once():
    paid = "float(given in gold or gold in given) for given, gold in zip(completions, answer)"
    text = f"def reward(completions, answer, **all):\n    return [{paid}]\n"

    found = findings_view(text, f"\n{text}\n")

    assert (found["is_saved"], [each["line"] for each in found["findings"]]) == (True, [2])


def test_blank_ends_that_the_editor_takes_away_make_no_new_version(store: RewardStore):
    source = store.save("mine", f"\n\n{template(EN)}\n\n")

    kept = save_reward(store, EditorState(key_of("mine")), "", source.text.strip(), {}, EN)

    assert kept == source
    assert len(store.versions("mine")) == 1


def test_a_new_reward_takes_a_tidy_name_and_no_other_s(store: RewardStore):
    kept = save_reward(store, EditorState(NEW), "My Größe 2!", template(EN), {}, EN)

    assert kept.name == "my-groe-2"
    assert (
        save_reward(store, EditorState(NEW), kept.name, template(EN), {}, EN) == kept
    )  # a second click changes nothing
    with pytest.raises(SpecError, match="already"):
        save_reward(store, EditorState(NEW), kept.name, template(EN) + "# other\n", {}, EN)
    with pytest.raises(SpecError, match="no name"):
        save_reward(store, EditorState(NEW), " 奖励 ", template(EN), {}, EN)
    with pytest.raises(SpecError, match="ready"):
        save_reward(store, EditorState(NEW), "length", template(EN), {}, EN)
    assert copy_name(store, "my-groe-2") == "my-groe-2-copy"


def test_a_ready_reward_stays_as_it_is(store: RewardStore):
    kept = save_reward(store, EditorState(FIRST), "", "def reward(completions): return []", {}, EN)

    assert kept == store.get("exact_match")
    assert store.names() == []


def test_a_composition_is_saved_with_its_parts(store: RewardStore):
    parts = [RewardPart("exact_match", 1.0), RewardPart("length", 0.2)]

    kept = save_reward(store, EditorState(COMPOSE, is_composed=True), "both", "ignored", composer_view(parts, EN), EN)

    assert store.parts_of("both") == tuple(parts)
    assert kept.text == compose(parts)


def test_a_composition_of_an_earlier_version_opens_as_one_and_keeps_its_python(
    workspace: Workspace, store: RewardStore
):
    parts = [RewardPart("length", 0.2), RewardPart("exact_match", 1.0)]  # in another order than the page has them
    earlier = store.save("both", COMPOSED_BY_AN_EARLIER_VERSION.read_text(encoding="utf-8"), parts)
    store.record_dry_run(earlier.sha256, "run", passed=True, warnings=0)
    services = build_services(workspace)
    page = layout.RewardsPage(services, store, EN)

    opened = layout.open_reward(page, {"chosen": key_of("both")}, EditorState(), "", {})
    held, composer, code = opened[1], opened[3], opened[5].value

    assert held.is_composed
    assert sorted(parts_of(composer, EN)) == sorted(parts)
    assert save_reward(store, held, "", code, composer, EN) == earlier
    assert layout.train_with(page, held, code, "shapes")[0] == "both"
    services.runs.close()


def test_the_list_gives_way_to_the_first_for_a_name_that_is_gone(store: RewardStore):
    assert list_view(store, key_of("gone"), EN)["chosen"] == FIRST
    assert list_view(store, COMPOSE, EN)["chosen"] == COMPOSE


@pytest.mark.parametrize(
    ("rows", "answers"), [(0, 4), (201, 4), (8, 1), (8, 129), (None, 4), (1.5, 4), (8, float("inf"))]
)
def test_numbers_out_of_range_start_no_dry_run(store: RewardStore, rows, answers):
    with pytest.raises(SpecError, match="cannot be"):
        dry_run_spec(store.get("exact_match"), DryRunRequest("shapes", rows, answers, "demo"), EN)


def test_a_dry_run_is_found_by_its_version_and_its_report_is_ranked(workspace: Workspace, store: RewardStore):
    runs, source = RunStore(workspace), store.save("mine", template(EN))
    spec = dry_run_spec(source, DryRunRequest("shapes", 2, 2, "demo"), EN)
    folder = workspace.output / "20260101-000000-dry"
    folder.mkdir()
    assert last_dry_run(runs, store, source) == ""
    runs.add(folder.name, spec, 0.0)

    assert last_dry_run(runs, store, source) == folder.name
    assert last_dry_run(runs, store, store.get("exact_match")) == ""
    assert check_view(runs.get(folder.name))["report"] is None

    runs.transition(folder.name, "finished", ("queued",))
    write_report(folder / "check.json", report())
    shown = check_view(runs.get(folder.name))["report"]

    assert [answer["kind"] for answer in shown["rows"][0]["answers"]] == ["gold", "sample", "empty", "tags"]
    assert (shown["flat"], shown["groups"], shown["parts"]) == (1, 1, ["mine/same"])
    assert shown["rows"][0]["turns"][0]["parts"][0] == {"image": {"of": "dataset/shapes", "name": "a.png"}}
    assert (shown["warnings"][0]["gold"], shown["warnings"][0]["problem"]) == (1.0, "ValueError: x")


def report() -> DryRunReport:
    answers = (
        ScoredAnswer(kind="empty", text="", total=0.5, values={"mine": 0.5}),
        ScoredAnswer(kind="tags", text="<a>", total=None, values={"mine": None}, problems={"mine": "ValueError: x"}),
        ScoredAnswer(kind="gold", text="red", total=1.0, values={"mine": 1.0}, parts={"mine/same": 1.0}),
        ScoredAnswer(kind="sample", text="red", total=1.0, values={"mine": 1.0}, parts={"mine/same": 1.0}),
    )
    row = DryRunRow(
        row="1", dataset="shapes", images=("images/a.png",), prompt=({"role": "user", "content": "<image>What?"},),
        gold="red", answers=answers, spread=0.0,
    )  # fmt: skip
    return DryRunReport(
        rewards=(DryRunReward(name="mine", weight=1.0, sha256="0" * 64),), checkpoint="demo", rows=(row,),
        no_spread_share=1.0, warnings=(DryRunWarning(code="fails", reward="mine", text="it fails", value=0.25),),
        isolation=Isolation(limits=True, network=True, files=True), passed=False,
    )  # fmt: skip
