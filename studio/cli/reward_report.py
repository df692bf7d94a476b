"""Print what a dry run of rewards found."""

from backend.rewards.contract import Isolation
from backend.rewards.report import CheckedRow, CheckReport, ScoredAnswer
from studio.cli.output import print_table, say

SHOWN_CHARACTERS = 40  # of an answer
SAID = {
    "gold": "gold",
    "sample": "drawn",
    "empty": "empty",
    "repeated": "gold x 50",
    "tags": "only tags",
    "long": "filler",
}


def print_report(report: CheckReport) -> None:
    """Print every answer with what it earns, then what it all says about the rewards."""
    names = [reward.name for reward in report.rewards]
    for row in report.rows:
        _print_row(row, names)
    if report.no_spread_share is not None:
        say(f"Groups without spread, which teach nothing: {report.no_spread_share:.0%}")
    for found in report.warnings:
        say(f"warning {found.code}: {found.text}")
    say(isolation_line(report.isolation))
    count = len(report.warnings)
    heard = f" with {count} warning{'s' * (count > 1)}" if count else ""
    say(f"passed{heard}" if report.passed else f"not passed{heard}: mend the reward and check it again")


def isolation_line(isolation: Isolation) -> str:
    """What the worker is kept from on this machine, in a sentence."""
    kept = {
        "memory, time and file limits": isolation.limits,
        "no network": isolation.network,
        "no other files": isolation.files,
        "no other processes": isolation.processes,
        "no needless system calls": isolation.calls,
    }
    there = ", ".join(name for name, is_there in kept.items() if is_there)
    missing = ", ".join(name for name, is_there in kept.items() if not is_there)
    without = f"; not on this machine: {missing}" if missing else ""
    return f"The rewards ran with isolation level {isolation.level}: {there or 'none'}{without}"


def _print_row(row: CheckedRow, names: list[str]) -> None:
    spread = "" if row.spread is None else f", spread {row.spread:.3g}"
    say(f"{row.dataset} {row.row}{spread}")
    columns = ("", "answer", *names, *(["total"] if len(names) > 1 else []), "ms", "problem")
    print_table(columns, [_cells(answer, names) for answer in row.answers], empty="no answers")
    say("")


def _cells(answer: ScoredAnswer, names: list[str]) -> tuple[str, ...]:
    values = [answer.values.get(name) for name in names] + ([answer.total] if len(names) > 1 else [])
    paid = ("-" if value is None else f"{value:.3g}" for value in values)
    return (SAID[answer.kind], _short(answer.text), *paid, f"{answer.seconds * 1000:.3g}", answer.problem)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else f"{line[: SHOWN_CHARACTERS - 1]}…"
