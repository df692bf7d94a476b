"""What the web process costs: seconds to its first page beside an empty Gradio page, and memory while it watches a run.

python -m tests.benchmarks.measure_web [--short] [--write]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psutil

from backend.runs.events import EventWriter
from backend.runs.folder import ExitRecord
from backend.settings import ROOT, Workspace
from studio.services import PREPARED
from tests.scripts.readme import machine, write_section
from tests.serving import SERVE, free_port, start_serving, stop_serving

EMPTY = """
import os, sys
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
import gradio as gr, uvicorn
from fastapi import FastAPI
with gr.Blocks() as page:
    gr.Markdown("empty")
app = gr.mount_gradio_app(FastAPI(), page, path="/", ssr_mode=False)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
"""
STUDIO = f"{SERVE} serve(Workspace(Path(sys.argv[2])), port=int(sys.argv[1]))"


def seconds_to_first_page(code: str, *arguments: str) -> float:
    """From the start of a process to its first whole page."""
    port = free_port()
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", code, str(port), *arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        while time.monotonic() - begun < 120:
            try:
                if httpx.get(f"http://127.0.0.1:{port}/", timeout=60).status_code == 200:
                    return time.monotonic() - begun
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.02)
        raise AssertionError("no page in two minutes")
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Start both pages in turn, then watch a run that tells much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="one start each")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    empty, ours = [], []
    with tempfile.TemporaryDirectory(prefix="measure-", ignore_cleanup_errors=True) as folder:
        workspace = Workspace(Path(folder))
        workspace.prepare()
        (workspace.data / PREPARED).touch()
        for _ in range(1 if args.short else 7):  # in turn, so that a busy machine is busy for both
            empty.append(seconds_to_first_page(EMPTY))
            ours.append(seconds_to_first_page(STUDIO, folder))
        idle, watching = memory_of(workspace, 2_000 if args.short else 20_000)
    ratio = statistics.median(ours) / statistics.median(empty)
    lines = [
        "| | an empty Gradio page | the studio |",
        "|---|---|---|",
        f"| process start to first page, seconds | {spread(empty)} | {spread(ours)}, {ratio:.2f} times as long |",
        f"| memory, MB | | {idle:.0f} idle, {watching:.0f} while it watches a run of many steps |",
        "",
        f"Median [least, most] of {len(ours)}; `python -m tests.benchmarks.measure_web --write` on {machine()}.",
    ]
    print("\n".join(lines))
    if args.write:
        write_section("measured:web", "\n".join(lines))


def memory_of(workspace: Workspace, points: int) -> tuple[float, float]:
    """Megabytes before and after a page has watched a run of so many steps."""
    served = start_serving(workspace)
    try:
        process = psutil.Process(served.process.pid)
        httpx.get(served.address + "/", timeout=60)
        idle = process.memory_info().rss / 1e6
        run = workspace.output / "20260101-000000-watched"
        run.mkdir()
        events = EventWriter(run / "events.jsonl")
        for step in range(points):
            events.write("metric", step, loss=1 / (step + 1))
        events.close()
        ended = ExitRecord(raw_status=0, exit_code=0, signal=None, duration_s=1, peak_memory_bytes=0, state="finished",
                           reason="", hint="", ended_at=1.0)  # fmt: skip
        (run / "exit.json").write_text(ended.model_dump_json())
        (run / "spec.json").write_text("{}")
        for _ in range(20 if points > 2_000 else 4):
            httpx.get(f"{served.address}/api/curves?runs={run.name}&key=loss", timeout=60)
            time.sleep(0.3)
        return idle, process.memory_info().rss / 1e6
    finally:
        stop_serving(served)


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):.2f} [{min(values):.2f}, {max(values):.2f}]"


if __name__ == "__main__":
    main()
