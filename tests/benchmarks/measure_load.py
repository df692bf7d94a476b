"""How soon tabs open and pages learn what is new, with fifty pages open and four runs writing in a full workspace.

python -m tests.benchmarks.measure_load [--short] [--write]
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from backend.settings import ROOT, Workspace
from tests.benchmarks.loaded_workspace import (
    DATASET,
    LONG_RUNS,
    SEARCHED,
    WRITERS,
    Size,
    Taken,
    fill,
    start_writers,
    stop_writers,
)
from tests.benchmarks.page_client import BUSY_S, TABS, OpenPage, timed
from tests.scripts.readme import machine, write_section
from tests.serving import Served, start_serving, stop_serving


@dataclass(frozen=True)
class Load:
    """How much is asked of it."""

    size: Size
    pages: int  # that are open all the while
    openings: int  # of each tab
    loads: int  # pages opened and closed, one after another, while memory is looked at


@dataclass
class Measured:
    """What one call found."""

    taken: Taken
    seconds: dict[str, list[float]]  # by what was opened
    watched: dict[str, Any]  # what the open pages counted
    busy_mb: tuple[float, float, float]  # before the first page, with all open, after the last opening
    quiet_mb: tuple[float, float, float]  # before the first page, after the first load, after the last


LONG = Load(Size(runs=1000, points=1_000_000, rows=100_000), pages=50, openings=25, loads=200)
SHORT = Load(Size(runs=50, points=20_000, rows=2_000), pages=10, openings=2, loads=20)
ROWS = (*TABS, "first page", "a long curve", "all long curves", "search", "watch")


def main() -> None:
    """Fill a workspace, open the pages, then open every tab again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer runs, points, rows and pages")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--pages", type=int, help=argparse.SUPPRESS)  # this process is the open pages
    parser.add_argument("--address", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pages:
        asyncio.run(be_pages(args.address, args.pages))
        return
    load = SHORT if args.short else LONG
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        measured = measure(Workspace(Path(folder)), load)
    text = table(measured, load)
    print(text)
    if args.write:
        write_section("measured:load", text)


def measure(workspace: Workspace, load: Load) -> Measured:
    """Do it all once."""
    taken = fill(workspace, load.size)
    with serving(workspace) as (served, memory_mb):
        idle_mb = memory_mb()
        writers = start_writers(workspace)
        try:
            with crowd(served, load.pages) as end:
                seconds = asyncio.run(open_tabs(served, 1))
                opened_mb = memory_mb()
                more = asyncio.run(open_tabs(served, load.openings - 1))
                loaded_mb = memory_mb()
                watched = end()
        finally:
            stop_writers(writers)
    seconds = {name: seconds[name] + more[name] for name in seconds} | {"watch": watched.pop("seconds")}
    with serving(workspace) as (served, memory_mb):
        before_mb = memory_mb()
        asyncio.run(load_pages(served, 1))
        first_mb = memory_mb()
        asyncio.run(load_pages(served, load.loads - 1))
        quiet_mb = (before_mb, first_mb, memory_mb())
    return Measured(taken, seconds, watched, (idle_mb, opened_mb, loaded_mb), quiet_mb)


@contextmanager
def serving(workspace: Workspace) -> Iterator[tuple[Served, Callable[[], float]]]:
    """A new web process that has answered once, and what tells its memory in MB."""
    served = start_serving(workspace)
    process = psutil.Process(served.process.pid)
    try:
        httpx.get(served.address + "/", timeout=60)
        time.sleep(1)
        yield served, lambda: process.memory_info().rss / 1e6
    finally:
        stop_serving(served)


@contextmanager
def crowd(served: Served, pages: int) -> Iterator[Callable[[], dict[str, Any]]]:
    """So many open pages, held by a process of their own; what ends them and tells what they counted."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.measure_load", "--pages", str(pages), "--address", served.address],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield lambda: json.loads(process.communicate(b"end\n")[0])


async def open_tabs(served: Served, openings: int) -> dict[str, list[float]]:
    """One person who opens every tab in turn, again and again, each time on a page that was just loaded."""
    seconds: dict[str, list[float]] = {name: [] for name in ROWS if name != "watch"}
    for _ in range(openings):
        async with httpx.AsyncClient(base_url=served.address, timeout=60) as http, OpenPage(http).kept_open() as page:
            seconds["first page"].append(await timed(page.load()))
            for name in TABS:
                seconds[name].append(await timed(page.open_tab(name)))
            seconds["search"].append(await timed(page.rows_of(DATASET, SEARCHED)))
            page.chosen, page.cursor = LONG_RUNS[0], ""
            seconds["a long curve"].append(await timed(page.watch()))
            page.compared, page.cursor = LONG_RUNS[1:], ""
            seconds["all long curves"].append(await timed(page.watch()))
    return seconds


async def load_pages(served: Served, loads: int) -> None:
    """Open the page so many times, look at all long curves together, and close it."""
    for _ in range(loads):
        async with httpx.AsyncClient(base_url=served.address, timeout=60) as http, OpenPage(http).kept_open() as page:
            await page.load()
            await page.open_tab("runs")
            page.chosen, page.compared, page.cursor = LONG_RUNS[0], LONG_RUNS[1:], ""
            await page.watch()


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
        errors = [each for each in await asyncio.gather(*work, return_exceptions=True) if isinstance(each, Exception)]
    counted["errors"] += len(errors)
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


def table(measured: Measured, load: Load) -> str:
    """What was found, for the README."""
    size = load.size
    labels = {"first page": "the page itself", "a long curve": f"the curve of {size.points:,} points",
            "all long curves": f"{len(LONG_RUNS)} such curves together",
            "search": f"a search through {size.rows:,} rows", "watch": "an open page asks what is new"}  # fmt: skip
    lines = ["| milliseconds | median | 95 of 100 | times |", "|---|---|---|---|"]
    for name, values in measured.seconds.items():
        p50, p95 = statistics.median(values), statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        lines.append(
            f"| {labels.get(name, f'the {name.title()} tab')} | {p50 * 1e3:.0f} | {p95 * 1e3:.0f} | {len(values)} |"
        )
    watched, taken, busy_mb, quiet_mb = measured.watched, measured.taken, measured.busy_mb, measured.quiet_mb
    lines += [
        "",
        f"{size.runs:,} runs, {size.points:,} points in each of {len(LONG_RUNS)}, a dataset of {size.rows:,} rows,"
        f" {load.pages} open pages that ask {watched['requests'] / watched['for_s']:.0f} times a second, {WRITERS} runs"
        f" that write; {watched['errors']} errors. Memory of the web process: {busy_mb[0]:.0f} MB before the first page"
        f" asks, {busy_mb[1]:.0f} MB with all open and each tab opened once, {busy_mb[2]:.0f} MB after the last one."
        f" Another that shows {load.loads} times the page with the {len(LONG_RUNS)} long curves: {quiet_mb[0]:.0f} MB"
        f" before, {quiet_mb[1]:.0f} MB after the first, {quiet_mb[2]:.0f} MB after the last."
        f" The index was made of the folders in {taken.index_s:.0f} s, during"
        f" which other writers waited {taken.others_waited_ms:.0f} ms (95 of 100), the dataset imported in"
        f" {taken.import_s:.0f} s. `python -m tests.benchmarks.measure_load --write` on {machine()}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
