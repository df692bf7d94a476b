"""A page of a real studio that is watched for what it should not do."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page

from backend.recipes.library import load_recipe
from backend.runs.folder import ExitRecord
from backend.settings import DEMO_MODEL, Workspace
from tests.serving import Served, add_demo, start_serving, stop_serving

__all__ = ["CHROMIUM", "QUIET", "WIDE", "Served", "Watched", "add_demo", "open_tab", "set_knobs", "start_serving",
           "stop_serving", "watch_over", "write_run"]  # fmt: skip
CHROMIUM = Path("/usr/bin/chromium")
# Chromium heeds the last such list alone, so it says again what Playwright's says. The last two are pages under the
# address bar, which nobody sees here and each window loads in a renderer of their own: as much work as our page.
UNUSED = ("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay",
          "HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning",
          "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled", "PreconnectToSearch", "WebUIOmniboxPopup",
          "WebUIOmniboxAimPopup")  # fmt: skip
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", f"--disable-features={','.join(UNUSED)}"]  # fmt: skip
WIDE = {"width": 1440, "height": 900}


@dataclass
class Watched:
    """A page, and everything it should not have done."""

    page: Page
    complaints: list[str] = field(default_factory=list)


def watch_over(watched: Watched) -> None:
    page, complain = watched.page, watched.complaints.append

    def look_at(request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", None):
            complain(f"asked another host: {request.url}")

    page.on("request", look_at)
    page.on("pageerror", lambda error: complain(f"script failed: {error}"))
    page.on("console", lambda message: complain(f"console: {message.text}") if message.type == "error" else None)
    page.on("dialog", lambda dialog: (complain(f"a box popped up: {dialog.message}"), dialog.dismiss()))


def open_tab(page: Page, name: str) -> None:
    page.locator(f"#nav [role=tab][data-tab-id='{name}']").click()


def set_knobs(page: Page, values: dict[str, str]) -> None:
    """Fill in settings of the Train page's open fold, by the names of their fields."""
    for knob, value in values.items():
        page.locator(f"#knob-{knob} input").fill(value)
        page.locator(f"#knob-{knob} input").press("Tab")


def write_run(workspace: Workspace, run_id: str, weights: bytes, changes: dict[str, object] | None = None) -> None:
    """Write the folder of a finished run whose final model is the demo model with these weights."""
    folder = workspace.output / run_id / "final_model"
    folder.mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "processor_config.json"):
        (folder / name).write_bytes((DEMO_MODEL / name).read_bytes())
    (folder / "model.safetensors").write_bytes(weights)
    record = {"kind": "model", "base": "demo", "strategy": "full", "step": 1, "min_pixels": 3136, "max_pixels": 12544,
              "sizes": {"model.safetensors": len(weights)}}  # fmt: skip
    (folder / "complete.json").write_text(json.dumps(record))
    plain = {"data.datasets": [{"name": "shapes"}], "name": run_id[16:]}
    spec = load_recipe("full_finetune").spec.with_values(plain | (changes or {}))
    ended = ExitRecord(raw_status=0, exit_code=0, signal=None, duration_s=1.0, peak_memory_bytes=0, state="finished",
                       reason="", hint="", ended_at=0.0)  # fmt: skip
    (folder.parent / "exit.json").write_text(ended.model_dump_json())  # so that nobody starts it
    (folder.parent / "spec.json").write_text(spec.model_dump_json())
