"""What a browser asks when a person opens the page or one of its tabs, without a browser.

The events are Gradio's own: which function a shown tab calls, with which components' values, and what follows from the
values that come back. What the studio's scripts fetch beside that is written out below, as static/js does it.
"""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

TABS = ("data", "train", "rewards", "runs", "evaluate", "playground")  # the guide asks for nothing
PAGE = 8  # rows that the Data page shows
AT_ONCE = 6  # connections of a browser to one server
FOLLOWS = 40  # events in one opening, at the most: a loop would be a mistake here
BUSY_S = 1.5  # between two looks, while a run is at work: BUSY_MS of static/js/requests.js


@dataclass
class OpenPage:
    """One page, as far as its server can tell."""

    http: httpx.AsyncClient
    session: str = field(default_factory=lambda: uuid.uuid4().hex[:10])
    config: dict[str, Any] = field(default_factory=dict)
    values: dict[int, Any] = field(default_factory=dict)
    seen: str = ""
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    cursor: str = ""
    offset: int = -1
    chosen: str = ""
    compared: tuple[str, ...] = ()
    kept: set[tuple[str, str]] = field(default_factory=set)

    async def load(self, config: dict[str, Any] | None = None) -> None:
        """Open the page; its settings come with it."""
        await _got(self.http, "/")
        self.config = config or json.loads(await _got(self.http, "/config"))
        self.values = {part["id"]: part["props"].get("value") for part in self.config["components"]}
        await self._fire_all("load")

    async def open_tab(self, name: str) -> None:
        """Do what opening this tab does."""
        hidden = {part["id"] for part in self.config["components"] if part["props"].get("visible") is False}
        inside = _inside(self.config["layout"], self._tab(name), hidden)
        before = dict(self.values)
        await self._fire_all("shown", inside)
        if name == "runs":
            self.seen, self.cursor, self.offset, self.rows = "", "", -1, {}
            await self.watch()
            await self.watch()  # once more, with the curve and the log of the chosen one
        if name == "data":
            await self.rows_of(
                next(v["chosen"] for v in self.values.values() if isinstance(v, dict) and "datasets" in v)
            )
        await self.images([self.values[part] for part in inside if self.values.get(part) != before.get(part)])

    async def rows_of(self, dataset: str, search: str = "") -> int:
        """Read the first rows of a dataset and their images; how many rows match."""
        query = {"start": 0, "count": PAGE, "search": search, "split": ""}
        reply = json.loads(await _got(self.http, f"/api/datasets/{dataset}/rows", query))
        await self.images(reply["rows"])
        return int(reply["total"])

    async def watch(self) -> None:
        """Ask once what is new, and take it in."""
        runs = ",".join((self.chosen, *self.compared))
        query = {"runs": runs, "key": "loss", "cursor": self.cursor, "seen": self.seen, "chosen": self.chosen,
                 "offset": self.offset}  # fmt: skip
        reply = json.loads(await _got(self.http, "/api/watch", query))
        if reply["list"]:
            self.seen = reply["list"]["version"]
            if reply["list"].get("is_whole", True):
                self.rows.clear()
            self.rows |= {row["id"]: row for row in reply["list"]["runs"]}
            if self.chosen not in self.rows:
                running = [row["id"] for row in self.rows.values() if row["state"] == "running"]
                self.chosen = next(iter([*running, *self.rows]), "")
        self.cursor = reply["curves"]["cursor"]
        self.offset = reply["chosen"]["log"]["end"] if reply["chosen"] else -1

    async def images(self, shown: object) -> None:
        """Fetch the small images that these values show."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def fetch(of: str, name: str) -> None:
            async with gate:
                await _got(self.http, f"/media/{of}/{name}", {"thumb": "true"})

        wanted = set(_images(shown)) - self.kept
        self.kept |= wanted  # a browser keeps them: their names are digests
        await asyncio.gather(*(fetch(*each) for each in sorted(wanted)))

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator["OpenPage"]:
        """Be open like a browser's page for as long as this lasts, and closed afterwards."""
        holding = asyncio.create_task(self.hold_open())
        try:
            yield self
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    async def hold_open(self) -> None:
        """Keep Gradio's own connection, as every page does for as long as it is open."""
        async with self.http.stream("GET", f"/gradio_api/heartbeat/{self.session}", timeout=None) as stream:
            async for _ in stream.aiter_bytes():
                pass

    async def _fire_all(self, trigger: str, parts: set[int] | None = None) -> None:
        events = [
            event for event in self.config["dependencies"]
            if any(name == trigger and (parts is None or part in parts) for part, name in event["targets"])
        ]  # fmt: skip
        await asyncio.gather(*(self._fire(event, FOLLOWS) for event in events))

    async def _fire(self, event: dict[str, Any], left: int) -> None:
        """Call one event's function, put what it returns in place, and fire what follows from that."""
        assert left > 0, "one opening makes too many events"
        changed = await self._call(event) if event["backend_fn"] else set()
        following = [
            each for each in self.config["dependencies"]
            if each["trigger_after"] == event["id"]
            or any(part in changed and name == "change" for part, name in each["targets"])
        ]  # fmt: skip
        await asyncio.gather(*(self._fire(each, left - 1) for each in following))  # as a browser does, all at once

    async def _call(self, event: dict[str, Any]) -> set[int]:
        """Which components have another value now."""
        assert event["queue"] is False, f"event {event['id']} changes something: opening a tab may not"
        content = {"data": [self.values.get(part) for part in event["inputs"]], "fn_index": event["id"],
                   "session_hash": self.session, "event_data": None}  # fmt: skip
        answer = await self.http.post("/gradio_api/run/predict", json=content)
        if answer.status_code != 200:
            raise AssertionError(f"event {event['id']} answered {answer.status_code}: {answer.text[:300]}")
        changed = set()
        for part, output in zip(event["outputs"], answer.json()["data"], strict=True):
            is_update = isinstance(output, dict) and output.get("__type__") == "update"
            value = output.get("value", self.values.get(part)) if is_update else output
            changed |= {part} if self.values.get(part) != value else set()
            self.values[part] = value
        return changed

    def _tab(self, name: str) -> int:
        return next(
            part["id"] for part in self.config["components"]
            if part["type"] == "tabitem" and part["props"].get("id") == name
        )  # fmt: skip


async def timed(act: Any) -> float:
    """Seconds that something takes."""
    begun = time.monotonic()
    await act
    return time.monotonic() - begun


async def _got(http: httpx.AsyncClient, path: str, query: dict[str, Any] | None = None) -> str:
    answer = await http.get(path, params=query)
    if answer.status_code != 200:
        raise AssertionError(f"{path} answered {answer.status_code}: {answer.text[:300]}")
    return answer.text


def _inside(node: dict[str, Any], wanted: int, hidden: set[int], is_inside: bool = False) -> set[int]:
    """The parts of the page below one of them, without what is hidden: a browser does not draw that."""
    if node.get("id") in hidden:
        return set()
    is_inside = is_inside or node.get("id") == wanted
    found = {node["id"]} if is_inside and "id" in node else set()
    for child in node.get("children") or ():
        found |= _inside(child, wanted, hidden, is_inside)
    return found


def _images(shown: object) -> list[tuple[str, str]]:
    """Every image that a value names, as the studio's scripts find them."""
    if isinstance(shown, dict):
        if isinstance(shown.get("of"), str) and isinstance(shown.get("name"), str):
            return [(shown["of"], shown["name"])]
        return [found for value in shown.values() for found in _images(value)]
    if isinstance(shown, list | tuple):
        return [found for value in shown for found in _images(value)]
    return []
