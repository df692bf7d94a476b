"""What a dry run warns of."""

import pytest

from backend.conversation import Message
from backend.rewards.contract import Isolation
from backend.rewards.dry_run import (
    DryRunReport,
    DryRunReward,
    DryRunRow,
    ScoredAnswer,
    find_warnings,
    no_spread_share,
    read_report,
)

MINE, OTHER = (DryRunReward(name=name, weight=1.0, sha256="0" * 64) for name in ("mine", "other"))


def answer(kind: str, total: float | None, **more) -> ScoredAnswer:
    return ScoredAnswer(kind=kind, text=kind, total=total, values=more.pop("values", {"mine": total}), **more)


def row(*answers: ScoredAnswer, spread: float | None = 0.5) -> DryRunRow:
    return DryRunRow(row="1", dataset="d", images=(), prompt=(), gold="gold", answers=answers, spread=spread)


def codes(*rows: DryRunRow, rewards=(MINE,)) -> list[str]:
    return [found.code for found in find_warnings(rewards, rows)]


def test_an_honest_reward_warns_of_nothing():
    rows = row(answer("gold", 1.0), answer("empty", 0.0), answer("tags", 0.1), answer("sample", 0.6))

    assert codes(rows) == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [("empty", "pays 1.00 for an empty answer"), ("repeated", "written 50 times over"), ("tags", "empty tags"),
     ("long", "10,000 characters")],
)  # fmt: skip
def test_what_nobody_should_be_paid_for_is_named(kind, said):
    [found] = find_warnings([MINE], [row(answer("gold", 1.0), answer(kind, 1.0))])

    assert (found.code, found.kind, found.reward, found.value) == ("pays_adversary", kind, "mine", 1.0)
    assert said in found.text


def test_groups_without_spread_are_counted_and_told_from_three_fifths_on():
    flat, wide = row(answer("gold", 1.0), spread=0.0), row(answer("gold", 1.0), spread=0.4)

    assert no_spread_share([flat, flat, wide, wide]) == 0.5
    assert codes(flat, flat, wide, wide) == []
    [found] = find_warnings([MINE], [flat, flat, flat, wide])
    assert found.text == "75% of groups have no spread: nothing is learned from them"
    assert no_spread_share([row(spread=None)]) is None


def test_gold_answers_that_earn_less_than_drawn_ones_are_told():
    assert codes(row(answer("gold", 0.2), answer("sample", 0.9))) == ["gold_underpaid"]
    assert codes(row(answer("gold", 0.0))) == ["gold_underpaid"]


def test_each_reward_that_fails_is_told_also_the_second():
    failed = answer("gold", None, values={"mine": None, "other": None}, problems={"mine": "A: x", "other": "B: y"})

    found = find_warnings([MINE, OTHER], [row(failed)])

    assert [(each.code, each.reward) for each in found] == [("fails", "mine"), ("fails", "other")]
    assert "`other` fails for 1 of 1 answers: B: y" in found[1].text


def test_a_reward_that_never_applies_is_told_and_one_that_is_slow():
    assert codes(row(answer("gold", None))) == ["never_applies"]
    assert codes(row(answer("gold", 1.0, seconds=3.0))) == ["slow"]


def test_a_report_that_an_earlier_version_wrote_is_read(tmp_path):
    rows = (row(answer("gold", 1.0)).model_copy(update={"prompt": (Message(role="user", content="Colour?"),)}),)
    report = DryRunReport(
        rewards=(MINE,), checkpoint="", rows=rows, no_spread_share=None, warnings=(), passed=True,
        isolation=Isolation(limits=True, network=True, files=True),
    )  # fmt: skip
    content = report.model_dump_json()
    (tmp_path / "check.json").write_text(content.replace('"prompt":', '"asked":'))

    assert '"prompt":' in content
    assert read_report(tmp_path / "check.json") == report
