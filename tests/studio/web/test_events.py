"""Every event of the page, sent what its page never sends; and two visitors at once."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from backend.rewards.store import RewardStore
from backend.settings import ROOT
from tests.serving import Served
from tests.studio.events import DRAWS_DEMO, Events, outputs, unknown_for

LONG = "x" * 20_000
DEEP: dict[str, Any] = {
    key: ["x"] for key in ("chosen", "id", "run_id", "clicked", "busy", "marks", "parts", "images", "vote", "number",
                           "labels", "name", "items")
}  # fmt: skip
ODD = {key: {"of": 5, "name": [{}], "answers": 3, "chosen": {}} for key in DEEP}
GARBAGE = (None, "../../etc/passwd", LONG, 1e308, {"chosen": "../x", "id": "../x"}, DEEP, ODD,
           [{"name": ["x"], "weight": {}, "chosen": 1}])  # fmt: skip
FULL_ISOLATION_LEVEL = ("traceback", "site-packages", str(ROOT).lower(), "/proc/", 'file "')
EVERY = 11  # rounds in which each event gets each of the values


def state_of(studio: Served) -> dict[str, Any]:
    workspace = studio.workspace
    runs = httpx.get(f"{studio.address}/api/runs").json()
    kept = [path for folder in (workspace.talks, workspace.votes) if folder.is_dir() for path in folder.rglob("*")]
    return {"datasets": [(each.name, each.sha256) for each in studio.datasets.manifests()],
            "runs": [each["id"] for each in runs.get("rows", runs.get("runs", []))],
            "rewards": RewardStore(workspace).names(), "kept": sorted(kept),
            "folders": sorted(path.name for path in workspace.output.iterdir() if path.is_dir())}  # fmt: skip


def log_of(studio: Served) -> str:
    return (studio.workspace.root / "studio.log").read_text(errors="replace")


def fitted(component: dict[str, Any], value: Any) -> Any:
    """A made-up value, where its component may hold such a thing at all; else what its page could send."""
    unknown = unknown_for(component)
    fits = value is None or type(value) is type(unknown)
    return value if fits and component["type"] not in ("state", "file", "multimodaltextbox") else unknown


@pytest.mark.parametrize("rounds", [2, pytest.param(EVERY, marks=pytest.mark.long)])
def test_w7_no_event_trusts_what_it_is_sent(ask: httpx.Client, studio: Served, rounds: int):
    events, before, read = Events(ask), state_of(studio), len(log_of(studio))
    drawing = [events.at(*where)["id"] for where in DRAWS_DEMO]
    asked = [event for event in events.all if event["id"] not in drawing]
    assert len(asked) > 100

    makers: list[Callable[[dict[str, Any]], list[Any]]] = [
        lambda event: [unknown_for(component) for component in events.inputs(event)],
        lambda event: [None] * (len(event["inputs"]) - 1),
        lambda event: ["no-such"] * (len(event["inputs"]) + 3),
        *(lambda event, value=value: [fitted(component, value) for component in events.inputs(event)]
          for value in GARBAGE),
    ]  # fmt: skip
    assert len(makers) == EVERY
    for number in range(rounds):  # the whole table takes minutes: each round is another part of it
        said = []
        for place, event in enumerate(asked):
            values = makers[(place + number * len(makers) // rounds) % len(makers)](event)
            answered = events.answered(event, values, f"w7-{rounds}-{number}")
            assert answered.status_code in (200, 400, 422), (event["targets"], answered.text[:2000])
            said.append((event["targets"], answered.text))
        said.append(("the queue", events.heard(f"w7-{rounds}-{number}")))
        assert said[-1][1].count('"process_completed"') > 20
        for where, text in said:
            assert not [leak for leak in FULL_ISOLATION_LEVEL if leak in text.lower()], (where, number, text[:2000])

    assert state_of(studio) == before
    assert ask.get("/healthz").status_code == 200
    assert "Traceback" not in log_of(studio)[read:]


def test_m1_two_visitors_at_once_do_not_meet(ask: httpx.Client):
    """Each opens another reward, types, and takes a copy: name and text are those of what it had open itself."""
    events = Events(ask)
    opened, copied = events.at("reward-list", "input"), events.at("reward-copy", "click")
    chosen = {"ann": "exact_match", "bob": "json_fields"}

    for visitor, name in chosen.items():
        outputs(events.call(opened, [{"chosen": f"of:{name}"}, None, "", {}], visitor))
    shown = {visitor: outputs(events.call(copied, [None, f"# {visitor}\n"], visitor)) for visitor in ("bob", "ann")}

    places = [each["props"].get("elem_id") for each in (events.components[number] for number in copied["outputs"])]
    for visitor, name in chosen.items():
        said = dict(zip(places, shown[visitor], strict=True))
        assert said["reward-name"]["value"] == f"{name}-copy"
        assert said["reward-code"]["value"] == f"# {visitor}"
