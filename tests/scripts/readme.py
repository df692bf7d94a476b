"""Put what a script measured between its two marks, in the README or in a page of the docs."""

import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import psutil

from backend.settings import ROOT

PAGES = (ROOT / "README.md", *sorted((ROOT / "static" / "docs").glob("*.md")))


def machine() -> str:
    """Name the machine in a few words."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = psutil.virtual_memory().total / 2**30
    name = model.group(1).strip() if model else platform.machine()
    return f"{psutil.cpu_count()} cores of {name}, {memory:.0f} GiB, no GPU, {datetime.now(UTC):%Y-%m-%d}"


def write_section(mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark -->` and `<!-- /mark -->`; ValueError where a mark is missing."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    page = next((page for page in PAGES if pattern.search(page.read_text(encoding="utf-8"))), None)
    if page is None:
        raise ValueError(f"no page of the docs has a place for `{mark}`")
    content = page.read_text(encoding="utf-8")
    page.write_text(pattern.sub(lambda found: found[1] + text.strip() + "\n" + found[2], content), encoding="utf-8")
