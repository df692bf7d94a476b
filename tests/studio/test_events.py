"""Every event of the page, sent what its page never sends; and two visitors at once."""

from typing import Any

import httpx

from backend.rewards.store import RewardStore
from backend.settings import ROOT
from tests.serving import Served
from tests.studio.events import Events, outputs

LONG = "x" * 200_000
DEEP: dict[str, Any] = {
    key: ["x"] for key in ("chosen", "id", "run_id", "clicked", "busy", "marks", "parts", "pictures", "vote", "number",
                           "labels", "name", "items")
}  # fmt: skip
ODD = {key: {"of": 5, "name": [{}], "answers": 3, "chosen": {}} for key in DEEP}
GARBAGE = (None, "../../etc/passwd", LONG, -1, 1e308, True, [], ["x"], {}, {"chosen": "../x", "id": "../x"}, DEEP, ODD,
           [{"name": ["x"], "weight": {}, "chosen": 1}], [[None]], {"path": "/etc/passwd"}, "\x00\ud800")  # fmt: skip
UNKNOWN = {"dict": {"chosen": "no-such", "id": "no-such", "run_id": "no-such", "clicked": "no-such"},
           "str": "no-such", "list": [{"name": "no-such", "chosen": True, "weight": 1}]}  # fmt: skip
WHOLE = ("traceback", "site-packages", str(ROOT).lower(), "/proc/", 'file "')
DRAWS_DEMO = [("dataset-list", "demo")]  # takes no value that matters: whoever may click it draws the demo datasets


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


def unknown_for(component: dict[str, Any]) -> Any:
    """What its page could send, naming what is not there."""
    match component["type"]:
        case "number" | "slider":
            return -5
        case "checkbox":
            return True
        case "code":
            return "def reward(:"
        case "html":
            value = component["props"].get("value")
            return UNKNOWN["list" if isinstance(value, list) else "str" if isinstance(value, str) else "dict"]
        case "file" | "state":
            return None
        case "multimodaltextbox":
            return {"text": "no-such", "files": []}
    return "no-such"


def test_w7_no_event_trusts_what_it_is_sent(ask: httpx.Client, studio: Served):
    events, before, read = Events(ask), state_of(studio), len(log_of(studio))
    drawing = [events.at(*where)["id"] for where in DRAWS_DEMO]
    assert len(events.all) > 60

    for event in events.all:
        takes = events.inputs(event)
        tried = [[value] * len(takes) for value in GARBAGE] if takes and event["id"] not in drawing else []
        tried += [[unknown_for(component) for component in takes]] if event["id"] not in drawing else []
        tried += [[None] * (len(takes) - 1)] if takes else []
        tried += [["no-such"] * (len(takes) + 3)] if event["id"] not in drawing else []
        for number, values in enumerate(tried):
            said = events.call(event, values, f"w7-{event['id']}-{number}").lower()
            assert not [leak for leak in WHOLE if leak in said], (event["targets"], values, said[:2000])

    assert state_of(studio) == before
    assert ask.get("/healthz").status_code == 200
    ours = [trace for trace in log_of(studio)[read:].split("Traceback (most recent call last)")[1:]
            if any(f"/{package}/" in trace for package in ("studio", "launcher", "backend"))]  # fmt: skip
    assert ours == []


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
        assert said["reward-code"]["value"] == f"# {visitor}\n"
