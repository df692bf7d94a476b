"""The web process is light: about an empty Gradio page's start, no training stack in it, little memory."""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil

from backend.settings import ROOT, Workspace
from studio.demo_preparation import PREPARED
from tests.serving import SERVE, Served

MOST_TIMES = 1.4  # an empty Gradio page's start
MOST_BYTES = 300e6
ROUNDS = 3
HEAVY = (
    "torch",
    "torchvision",
    "transformers",
    "peft",
    "deepspeed",
    "accelerate",
    "trl",
    "bitsandbytes",
    "bokeh",
    "wandb",
)
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
    port = 20_000 + os.getpid() % 10_000
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


def test_the_first_page_comes_about_as_soon_as_an_empty_gradio_page(tmp_path: Path):
    workspace = Workspace(tmp_path)
    workspace.prepare()
    (workspace.data / PREPARED).touch()

    empty, ours = [], []
    for _ in range(ROUNDS):  # interleaved, so that a busy machine is busy for both
        empty.append(seconds_to_first_page(EMPTY))
        ours.append(seconds_to_first_page(STUDIO, str(tmp_path)))

    assert statistics.median(ours) <= MOST_TIMES * statistics.median(empty), (ours, empty)


def test_the_running_server_holds_no_training_stack_and_little_memory(studio: Served):
    for path in ("/", "/zh/", "/api/runs", "/api/datasets/shapes/rows"):
        assert httpx.get(studio.address + path, timeout=30).status_code == 200

    mapped = Path(f"/proc/{studio.process.pid}/maps").read_text()

    loaded = {name for name in HEAVY if re.search(rf"/site-packages/{name}/", mapped)}
    assert loaded == set()
    assert psutil.Process(studio.process.pid).memory_info().rss < MOST_BYTES


def test_the_assembled_app_imports_no_training_stack(tmp_path: Path):
    code = (
        "import sys; from pathlib import Path; from backend.settings import Workspace; "
        "from studio.services import build_services; from studio.web import create_app; "
        "w = Workspace(Path(sys.argv[1])); w.prepare(); create_app(build_services(w)); print(*sys.modules)"
    )
    listed = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )

    modules = set(listed.stdout.split())

    assert "gradio" in modules
    assert modules & set(HEAVY) == set()
