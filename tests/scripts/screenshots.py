"""Take the README's screenshots of a real run: `python -m tests.scripts.screenshots [--to FOLDER]`.

Draws the demo datasets, trains adapters on one of them, serves the workspace and looks at the Runs page in both
appearances. Takes about a minute on two cores and needs Chromium.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from backend.settings import STATIC, Workspace
from tests.browser.browser_lab import CHROMIUM, QUIET, open_tab
from tests.serving import start_serving, stop_serving

SIZE = {"width": 1440, "height": 900}
SCHEMES = ("light", "dark")
QUALITY = 80  # of WebP
RUN = ("train", "lora", "--dataset", "paint-codes", "--name", "paint codes")


def take(browser: Browser, address: str, scheme: str, tab: str, ready: str) -> Image.Image:
    """Look at one tab of a studio in one appearance."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme, device_scale_factor=1)  # type: ignore[arg-type]
    page.goto(address)
    open_tab(page, tab)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(1500)  # the curve draws itself
    shot = Image.open(io.BytesIO(page.screenshot()), formats=("PNG",)).convert("RGB")
    page.close()
    return shot


def main() -> None:
    """Make a workspace with a finished run, and write `runs-light.webp` and `runs-dark.webp`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=STATIC / "docs" / "images")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as root:
        workspace = Workspace(Path(root))
        for words in (("dataset", "demo"), RUN):
            _studio(workspace, *words)
        served = start_serving(workspace)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
            for scheme in SCHEMES:
                shot = take(browser, served.address, scheme, "runs", "#run-list .run")
                shot.save(folder / f"runs-{scheme}.webp", quality=QUALITY, method=6)
            browser.close()
        stop_serving(served)


def _studio(workspace: Workspace, *words: str) -> None:
    environment = {**os.environ, "STUDIO_WORKSPACE": str(workspace.root)}
    subprocess.run([sys.executable, "-m", "studio.cli", *words], env=environment, check=True)


if __name__ == "__main__":
    main()
