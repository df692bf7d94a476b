"""Print what an evaluation found, or make it plain for machines."""

from collections.abc import Iterator
from typing import Any

from backend.evaluation.report import MetricFacts, Report, Side
from studio.cli.output import print_table, say

LETTERS = "ABC"  # how the sides are called in tables


def as_plain(report: Report) -> dict[str, Any]:
    """The report for `--json`; `metrics` are those of the first checkpoint, as {name: {value, low, high, n}}."""
    plain = report.model_dump(mode="json")
    return {"report": plain, "metrics": plain["sides"][0]["measures"], "conclusion": report.conclusion.text}


def print_report(report: Report) -> None:
    """Print each side's numbers with their intervals, then the verdicts in words."""
    for letter, side in zip(LETTERS, report.sides, strict=False):
        say(f"{letter}: {side.label}")
    heads = (f"{report.rows:,} rows", *LETTERS[: len(report.sides)])
    print_table(heads, _lines(report), empty="Nothing was measured.")
    _print_groups(report)
    for text in _notes(report):
        say(text)
    decisive = report.metrics[0].name if report.metrics else ""
    for difference in report.differences:
        if difference.metric != decisive or report.check != "quality":
            say(f"{difference.metric}: {difference.text}")
    say(report.conclusion.text)


def _lines(report: Report) -> list[tuple[str, ...]]:
    """The table: metrics, then how much was cut off or could not be read, then the speed."""
    lines = [(facts.name, *(_measured(facts, side) for side in report.sides)) for facts in report.metrics]
    lines.append(("cut off", *(f"{side.cut / max(1, side.rows):.1%}" for side in report.sides)))
    for facts in report.metrics:
        if facts.name in report.sides[0].unread:
            shares = (f"{side.unread[facts.name] / max(1, side.rows):.1%}" for side in report.sides)
            lines.append((f"unread as {facts.name}", *shares))
    lines.append(("answers a second", *(f"{side.rows / max(1e-9, side.seconds):.1f}" for side in report.sides)))
    return lines


def _notes(report: Report) -> Iterator[str]:
    if report.too_long:
        yield f"{report.too_long:,} rows were left out: they are too long"
    for facts in report.metrics:
        if facts.notice:
            yield f"note on {facts.name}: {facts.notice}"
    for trouble in report.troubles:
        label = report.sides[trouble.side].label
        yield f"warning: `{trouble.metric}` gave no number for {trouble.errors} answers of {label}: {trouble.example}"
    for each in report.agreements:
        pair = f"{report.sides[each.first].label} and {report.sides[each.second].label}"
        yield f"{pair} give the same answer on {each.same} of {each.rows} rows"


def _print_groups(report: Report) -> None:
    names = list(report.sides[0].groups)
    if len(names) < 2 or not report.metrics:
        return
    facts = report.metrics[0]
    rows = [(name, *(_value(facts, side.groups.get(name, {}).get(facts.name)) for side in report.sides))
            for name in names]  # fmt: skip
    print_table((facts.name, *LETTERS[: len(report.sides)]), rows, empty="")


def _measured(facts: MetricFacts, side: Side) -> str:
    measure = side.measures.get(facts.name)
    if measure is None:
        return "-"
    interval = f"[{_value(facts, measure.low)}, {_value(facts, measure.high)}]"
    of = f" n={measure.n}" if measure.n != side.rows else ""
    return f"{_value(facts, measure.value)} {interval}{of}"


def _value(facts: MetricFacts, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1%}" if facts.is_share else f"{value:.4g}"
