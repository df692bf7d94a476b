"""What a page that watches runs gets: rows of the list, new points of curves, new log lines. Only changes travel."""

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from backend.ids import RunId
from backend.jsonl import strict_json
from backend.runs.folder import RunFolder
from backend.store.runs import RunStore
from backend.store.views import ListingEntry, RunView, Snapshot
from launcher.logs import redact
from launcher.run_manager import RunManager

LOG_BYTES = 64 << 10  # of a log in one answer; the first answer is its tail
_STEERING = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")


class LogPart(NamedTuple):
    """Some lines of a log."""

    text: str
    end: int  # byte offset to ask from next
    is_whole: bool  # show these instead of what was shown, rather than behind it


def run_row(view: RunView) -> dict[str, Any]:
    """One run as a list and its tiles show it. Times are seconds since the epoch."""
    return {
        "id": view.id,
        "name": view.name,
        "state": view.state,
        "phase": view.phase,
        "reason": view.reason,
        "hint": view.hint,
        "kind": view.spec.kind,
        "strategy": view.spec.strategy.name,
        "rewards": [share.name for share in view.spec.grpo.rewards],
        "datasets": [share.name for share in view.spec.data.datasets],
        "step": view.step,
        "total_steps": view.total_steps,
        "seconds_left": view.seconds_left,
        "loss": view.metrics.get("loss"),
        "eval_loss": view.metrics.get("eval_loss"),
        "exact_match": view.metrics.get("exact_match"),
        "reward": view.metrics.get("reward"),
        "flat_share": view.metrics.get("frac_reward_zero_std"),
        "resumed_from": view.spec.resumed_from,
        "samples_per_second": view.metrics.get("samples_per_second"),
        "created_at": view.created_at,
        "started_at": view.started_at,
        "ended_at": view.ended_at,
        "took": view.took_s,
        "has_model": view.folder.has_final_model,
        "bad_lines": view.bad_lines,
    }


def device_rows(launcher: RunManager) -> list[dict[str, Any]]:
    """Each device of the machine with the runs and chats that hold it. `since` is in seconds since the epoch."""
    leases = launcher.runs.leases()
    return [
        {
            "name": device.name,
            "label": device.label,
            "holders": [
                {"run": lease.run_id or "", "label": lease.label, "since": lease.since}
                for lease in leases
                if lease.device == device.name
            ],
        }
        for device in launcher.devices
    ]


def new_points(store: RunStore, run_ids: list[RunId], key: str, cursor: str) -> dict[str, Any]:
    """Read what the chart lacks: the points of one metric behind `cursor`, and, where there are any, which metrics."""
    curves = store.curves(run_ids, key, cursor)
    series = [
        {"id": each.run_id, "steps": each.steps, "values": each.values, "is_whole": each.is_whole}
        for each in curves.series
    ]
    is_news = any(each.is_whole or each.steps for each in curves.series)  # else the page knows the metrics already
    return {"cursor": curves.cursor, "series": series, "keys": store.metric_keys(run_ids) if is_news else []}


def program_notes(store: RunStore, run_id: RunId) -> list[dict[str, Any]]:
    """What the program told people, oldest first."""
    return [
        {
            "time": note.time,
            "step": note.step,
            "level": str(note.values.get("level", "info")),
            "text": str(note.values.get("text", "")),
        }
        for note in store.notes_of(run_id)
    ]


def read_log(folder: RunFolder, offset: int, *, is_over: bool) -> LogPart:
    """Read the log behind `offset`, whole lines only while the run may still write.

    Args:
        folder: of the run; no log yet reads as an empty one.
        offset: where the page is, or -1 for the log's tail. One behind the end means that the log was cut: its tail.
        is_over: the run writes no more, so that an unfinished last line is all there will be of it.
    """
    path = folder.log
    if not path.is_file():
        return LogPart("", -1, True)
    size = path.stat().st_size
    is_whole = not 0 <= offset <= size
    start = max(0, size - LOG_BYTES) if is_whole else offset
    raw = _read(path, start)
    if is_whole and start:
        cut = raw.find(b"\n") + 1
        raw, start = raw[cut:], start + cut
    if not is_over and b"\n" in raw:
        raw = raw[: raw.rfind(b"\n") + 1]
    elif not is_over and len(raw) < LOG_BYTES:
        raw = b""
    return LogPart(_readable(raw), start + len(raw), is_whole)


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as a list shows it, and what a page's questions about it need."""

    text: str  # JSON, its closing brace left open for the number
    folder: RunFolder
    is_over: bool


class RunRows:
    """Answers what is new in the list. Safe to use from many threads."""

    def __init__(self, store: RunStore) -> None:
        """Read nothing yet."""
        self._listing = store.listing(_row)
        self._name = secrets.token_hex(4)  # of this list's count of changes: another process has its own
        self._whole: tuple[int, str] = (-1, "")

    def get(self, run_id: str) -> RunRow | None:
        """One run; None where there is none of that id."""
        entry = self._listing.snapshot().entries.get(RunId(run_id))
        return None if entry is None else entry.value

    def since(self, seen: str = "") -> str:
        """Tell, as JSON, what has changed since a version of the list.

        Args:
            seen: the version that the page has; empty, unknown or too old means that it gets the whole list.

        Returns:
            `{"version", "is_whole", "runs", "gone"}`: the whole list, newest first, or the rows that are new or have
            changed and the ids that are gone; `null` where the page has it all.
        """
        now = self._listing.snapshot()
        change = self._change_of(seen, now)
        if change == now.change:
            return "null"
        if change is None:
            if self._whole[0] != now.change:
                self._whole = (now.change, self._changes_json(now, now.newest_first(), [], is_whole=True))
            return self._whole[1]
        changed = [entry for entry in now.newest_first() if entry.change > change]
        gone = [run_id for removed_by, run_id in now.removals if removed_by > change and run_id not in now.entries]
        return self._changes_json(now, changed, gone, is_whole=False)

    def _change_of(self, seen: str, now: Snapshot[RunRow]) -> int | None:
        """The change that a version names; None where only the whole list will do."""
        name, _, count = seen.partition("-")
        if name != self._name or not (count.isascii() and count.isdecimal()) or len(count) > 15:
            return None
        return int(count) if now.removals_since <= int(count) <= now.change else None

    def _changes_json(
        self, now: Snapshot[RunRow], rows: list[ListingEntry[RunRow]], gone: list[RunId], *, is_whole: bool
    ) -> str:
        listed = ",".join(f'{entry.value.text},"number":{entry.number}}}' for entry in rows)
        version = strict_json(f"{self._name}-{now.change}")
        return (
            f'{{"version":{version},"is_whole":{strict_json(is_whole)},"gone":{strict_json(gone)},"runs":[{listed}]}}'
        )


def _read(path: Path, start: int) -> bytes:
    with path.open("rb") as log:
        log.seek(start)
        return log.read(LOG_BYTES)


def _readable(raw: bytes) -> str:
    """Decode a log for people: of a line that was overwritten in place the last state, and no control characters."""
    lines = raw.decode("utf-8", "replace").replace("\r\n", "\n").split("\n")
    return redact("\n".join(_STEERING.sub("", line.rstrip("\r").rsplit("\r", 1)[-1]) for line in lines))


def _row(view: RunView) -> RunRow:
    return RunRow(strict_json(run_row(view))[:-1], view.folder, view.is_over)
