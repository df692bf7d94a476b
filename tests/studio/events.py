"""The events of a running page, posted raw, as anybody can who is not its page."""

import json
from typing import Any

import httpx

UNKNOWN = {"dict": {"chosen": "no-such", "id": "no-such", "run_id": "no-such", "clicked": "no-such"},
           "str": "no-such", "list": [{"name": "no-such", "chosen": True, "weight": 1}]}  # fmt: skip
DRAWS_DEMO = [("dataset-list", "demo")]  # takes no value that matters: whoever may click it draws the demo datasets


class Events:
    """What `/config` tells of a page: its events, and what each takes."""

    def __init__(self, client: httpx.Client, page: str = "/") -> None:
        self.client, self.page = client, page
        config = client.get(f"{page}config").json()
        self.components = {each["id"]: each for each in config["components"]}
        self.all = [each for each in config["dependencies"] if each["backend_fn"]]

    def at(self, elem_id: str, event: str) -> dict[str, Any]:
        """The event of one component."""
        (component,) = [number for number, each in self.components.items() if each["props"].get("elem_id") == elem_id]
        (found,) = [each for each in self.all if [component, event] in each["targets"]]
        return found

    def inputs(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        return [self.components[number] for number in event["inputs"]]

    def body(self, event: dict[str, Any], values: list[Any], session: str) -> dict[str, Any]:
        return {"fn_index": event["id"], "data": values, "session_hash": session}

    def call(self, event: dict[str, Any], values: list[Any], session: str) -> str:
        """Post it by the way it is open to; everything that was answered, as text."""
        said = self.post(event, values, session)
        return said + self.heard(session) if event["queue"] is not False and '"event_id"' in said else said

    def post(self, event: dict[str, Any], values: list[Any], session: str) -> str:
        """Post it; what is queued is answered by `heard`."""
        return self.answered(event, values, session).text

    def answered(self, event: dict[str, Any], values: list[Any], session: str) -> httpx.Response:
        """Post it: the whole answer."""
        way = "run/predict" if event["queue"] is False else "queue/join"
        return self.client.post(f"{self.page}gradio_api/{way}", json=self.body(event, values, session))

    def heard(self, session: str) -> str:
        """All that the queue answers to this visitor, until nothing is left to be answered."""
        with self.client.stream("GET", f"{self.page}gradio_api/queue/data?session_hash={session}") as told:
            return "".join(told.iter_text())


def outputs(said: str) -> list[Any]:
    """The values of an answer of an event."""
    lines = [line.removeprefix("data: ") for line in said.split("\n") if '"process_completed"' in line]
    return json.loads(lines[-1])["output"]["data"] if lines else json.loads(said)["data"]


def unknown_for(component: dict[str, Any]) -> Any:
    """What its page could send, naming what is not there."""
    match component["type"]:
        case "number" | "slider" | "dropdown" | "radio" if component["props"].get("value") is not None:
            return component["props"]["value"]
        case "number" | "slider":
            return -5
        case "dropdown" | "radio":
            return None
        case "checkboxgroup":
            return []
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
