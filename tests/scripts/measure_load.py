"""How soon tabs open and pages learn what is new, with fifty pages open and four runs writing in a full workspace.

python -m tests.scripts.measure_load [--short] [--write]
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.settings import ROOT, Workspace
from tests.scripts.loaded_workspace import (
    DATASET,
    LONG_RUN,
    SEARCHED,
    WRITERS,
    Size,
    Taken,
    fill,
    start_writers,
    stop_writers,
)
from tests.scripts.page_client import BUSY_S, TABS, OpenPage, timed
from tests.scripts.readme import machine, write_section
from tests.serving import Served, start_serving, stop_serving

LONG = (Size(runs=1000, points=1_000_000, rows=100_000), 50, 25)
SHORT = (Size(runs=50, points=20_000, rows=2_000), 10, 2)
ROWS = (*TABS, "first page", "a million points", "search", "watch")


@dataclass
class Measured:
    """What one call found."""

    taken: Taken
    seconds: dict[str, list[float]]  # by what was opened
    watched: dict[str, Any]  # what the open pages counted
    idle_mb: float
    opened_mb: float  # once every page was open and every tab had been opened
    loaded_mb: float


def main() -> None:
    """Fill a workspace, open the pages, then open every tab again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer runs, points, rows and pages")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pages", type=int, help=argparse.SUPPRESS)  # this process is the open pages
    parser.add_argument("--address", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.pages:
        asyncio.run(be_pages(asked.address, asked.pages))
        return
    size, pages, openings = SHORT if asked.short else LONG
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        measured = measure(Workspace(Path(folder)), size, pages, openings)
    text = table(measured, size, pages, openings)
    print(text)
    if asked.write:
        write_section("measured:load", text)


def measure(workspace: Workspace, size: Size, pages: int, openings: int) -> Measured:
    """Do it all once."""
    taken = fill(workspace, size)
    served = start_serving(workspace)
    process = psutil.Process(served.process.pid)
    try:
        httpx.get(served.address + "/", timeout=60)
        time.sleep(1)
        idle_mb = process.memory_info().rss / 1e6
        writers = start_writers(workspace)
        try:
            with subprocess.Popen(
                [sys.executable, "-m", "tests.scripts.measure_load", "--pages", str(pages), "--address",
                 served.address],
                cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            ) as crowd:  # fmt: skip
                assert crowd.stdout is not None
                assert crowd.stdout.readline() == b"open\n"
                seconds = asyncio.run(open_tabs(served, 1))
                opened_mb = process.memory_info().rss / 1e6
                more = asyncio.run(open_tabs(served, openings - 1))
                loaded_mb = process.memory_info().rss / 1e6
                watched = json.loads(crowd.communicate(b"end\n")[0])
        finally:
            stop_writers(writers)
    finally:
        stop_serving(served)
    seconds = {name: seconds[name] + more[name] for name in ROWS}
    seconds["watch"] = watched.pop("seconds")
    return Measured(taken, seconds, watched, idle_mb, opened_mb, loaded_mb)


async def open_tabs(served: Served, openings: int) -> dict[str, list[float]]:
    """One person who opens every tab in turn, again and again, each time on a page that was just loaded."""
    seconds: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(openings):
        async with httpx.AsyncClient(base_url=served.address, timeout=60) as http:
            page = OpenPage(http)
            seconds["first page"].append(await timed(page.load()))
            for name in TABS:
                seconds[name].append(await timed(page.open_tab(name)))
            seconds["search"].append(await timed(page.rows_of(DATASET, SEARCHED)))
            page.chosen, page.cursor = LONG_RUN, ""
            seconds["a million points"].append(await timed(page.watch()))
    return seconds


async def be_pages(address: str, pages: int) -> None:
    """Hold so many pages open on their Runs tab until a line comes in, then tell what they counted."""
    loop = asyncio.get_running_loop()
    end = loop.run_in_executor(None, sys.stdin.readline)
    counted: dict[str, Any] = {"requests": 0, "errors": 0, "seconds": []}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as http:
        shared = json.loads((await http.get("/config")).text)
        opened = [OpenPage(http) for _ in range(pages)]
        for page in opened:
            await page.load(shared)
        begun = time.monotonic()
        work = [loop.create_task(page.hold_open()) for page in opened]
        work += [loop.create_task(_look(page, place * BUSY_S / pages, counted)) for place, page in enumerate(opened)]
        await asyncio.sleep(BUSY_S * 2)
        counted |= {"requests": 0, "seconds": []}
        begun = time.monotonic()
        print("open", flush=True)
        await end
        counted["for_s"] = time.monotonic() - begun
        for task in work:
            task.cancel()
        held = [each for each in await asyncio.gather(*work, return_exceptions=True) if isinstance(each, Exception)]
    counted["errors"] += len(held)
    print(json.dumps(counted))


async def _look(page: OpenPage, wait_s: float, counted: dict[str, Any]) -> None:
    await asyncio.sleep(wait_s)
    while True:
        try:
            took_s = await timed(page.watch())
            counted["seconds"].append(took_s)
        except (httpx.HTTPError, AssertionError, ValueError):
            counted["errors"] += 1
        counted["requests"] += 1
        await asyncio.sleep(BUSY_S)


def table(measured: Measured, size: Size, pages: int, openings: int) -> str:
    """What was found, for the README."""
    said = {"first page": "the page itself", "a million points": f"the curve of {size.points:,} points",
            "search": f"a search through {size.rows:,} rows", "watch": "an open page asks what is new"}  # fmt: skip
    lines = ["| milliseconds | median | 95 of 100 | times |", "|---|---|---|---|"]
    for name, values in measured.seconds.items():
        p50, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        lines.append(
            f"| {said.get(name, f'the {name.title()} tab')} | {p50 * 1e3:.0f} | {p95 * 1e3:.0f} | {len(values)} |"
        )
    watched, taken = measured.watched, measured.taken
    lines += [
        "",
        f"{size.runs:,} runs, {size.points:,} points in one of them, a dataset of {size.rows:,} rows, {pages} open"
        f" pages that ask {watched['requests'] / watched['for_s']:.0f} times a second, {WRITERS} runs that write;"
        f" {watched['errors']} errors. Memory of the web process: {measured.idle_mb:.0f} MB before the first page asks,"
        f" {measured.opened_mb:.0f} MB with all open and each tab opened once, {measured.loaded_mb:.0f} MB after the"
        f" last opening. The index was made of the folders in {taken.index_s:.0f} s, during"
        f" which other writers waited {taken.others_waited_ms:.0f} ms (95 of 100), the dataset imported in"
        f" {taken.import_s:.0f} s. `python -m tests.scripts.measure_load --write` on {machine()}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
