"""Bytes of any kind in `events.jsonl`, through the reader and into the index."""

import json
from itertools import pairwise
from typing import Any

import pytest
from fuzzing import damaged, damages, fuzz, values
from hypothesis import given
from hypothesis import strategies as st

from backend.jsonl import strict_json
from backend.runs.events import EventWriter, read_all, read_events
from backend.runs.folder import RunFolder
from backend.spec.run import RunSpec
from backend.store.runs import RunStore

KINDS = ("metric", "progress", "checkpoint", "sample", "note", "end", "rumour")


@pytest.fixture
def runs(workspace):
    store = RunStore(workspace)
    yield store
    store.close()


@st.composite
def lines(draw: st.DrawFn) -> bytes:
    """One line: an event, nearly one, or none at all."""
    usual = {
        "v": st.sampled_from([1, 1, 1, 2, "1", None]), "seq": st.one_of(st.integers(0, 50), values()),
        "t": st.one_of(st.floats(0, 2e9), values()), "kind": st.sampled_from(KINDS),
        "step": st.one_of(st.integers(0, 50), values()),
        "values": st.dictionaries(st.sampled_from(["loss", "total_steps", "seconds_left", "phase", "text"]), values()),
    }  # fmt: skip
    event = draw(st.one_of(st.fixed_dictionaries(usual), st.dictionaries(st.sampled_from(list(usual)), values())))
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=60))
    depth = draw(st.sampled_from([0, 0, 0, 0, 15, 300, 2_000]))
    text = json.dumps(event)
    return text.replace("{}", "[" * depth + "]" * depth).encode() if depth else text.encode()


@fuzz(10)
@given(st.lists(lines(), max_size=8), damages(), st.lists(st.floats(0, 1), max_size=3))
def test_s5_s6_s7_any_bytes_are_taken_in_the_same_however_they_come(workspace, runs, drawn, done, cuts):
    content = damaged(b"\n".join(drawn) + b"\n", done)
    whole, pieces = (folder_of(workspace, runs, name) for name in ("whole", "pieces"))
    whole.events.write_bytes(content)
    runs.ingest(whole)
    places = [0, *sorted(int(cut * len(content)) for cut in cuts), len(content)]
    for begin, end in pairwise(places):
        with pieces.events.open("ab") as sink:
            sink.write(content[begin:end])
        runs.ingest(pieces)

    assert taken_in(runs, whole) == taken_in(runs, pieces)
    batch = read_events(whole.events)
    assert [event._replace(time=0.0) for event in batch.events] == [
        event._replace(time=0.0) for event in read_all(whole.events)
    ]
    assert 0 <= batch.end <= len(content)
    for folder in (whole, pieces):
        runs.remove(folder.run_id)
        folder.events.unlink()


@fuzz(25)
@given(st.lists(lines(), max_size=4), damages(), values())
def test_s5_a_writer_goes_on_behind_anything_and_loses_nothing(workspace, drawn, done, value):
    path = workspace.root / "events.jsonl"
    path.write_bytes(damaged(b"\n".join(drawn), done))
    before = len(read_all(path))

    writer = EventWriter(path)
    writer.write("note", 3, text=value)
    writer.close()

    found = read_all(path)
    assert len(found) in (before + 1, before + 2)  # the torn line may have been whole but for its end
    assert (found[-1].kind, found[-1].step) == ("note", 3)
    path.unlink()


def folder_of(workspace: Any, runs: RunStore, name: str) -> RunFolder:
    folder = RunFolder(workspace.output / f"20260101-000000-{name}")
    folder.path.mkdir(exist_ok=True)
    runs.add(folder.run_id, RunSpec(), 0.0)
    runs.transition(folder.run_id, "starting", ("queued",))
    return folder


def taken_in(runs: RunStore, folder: RunFolder) -> Any:
    """All that the index says of a run, each of it strict JSON."""
    view, keys = runs.get(folder.run_id), runs.metric_keys([folder.run_id])
    curves = [json.loads(strict_json(runs.curves([folder.run_id], key)._asdict().get("points", []))) for key in keys]
    told = [[each._asdict() for each in runs.recorded_events_of(folder.run_id, kind)] for kind in KINDS]
    json.loads(json.dumps(told), parse_constant=pytest.fail)
    return view.step, view.total_steps, view.phase, view.state, repr(view.seconds_left), keys, len(curves), repr(told)


def test_s7_a_line_nested_too_deeply_is_a_bad_line_and_harms_no_other(workspace, runs):
    folder = folder_of(workspace, runs, "deep")
    usual = {"v": 1, "t": 1.0, "kind": "note", "step": 1}
    lines = [json.dumps(usual | {"seq": seq, "values": {"text": "X"}}) for seq in (1, 2, 3)]
    lines[1] = lines[1].replace('"X"', "[" * 400 + "]" * 400)
    folder.events.write_text("\n".join(lines) + "\n")

    runs.ingest(folder)

    assert [event.seq for event in read_all(folder.events)] == [1, 3]
    assert len(runs.notes_of(folder.run_id)) == 2
    assert runs.get(folder.run_id).bad_lines == 1
