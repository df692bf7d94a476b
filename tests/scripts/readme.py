"""Put what a script measured between its two marks in the README."""

import platform
import re
from datetime import UTC, datetime
from pathlib import Path

import psutil

from backend.settings import ROOT

README = ROOT / "README.md"


def machine() -> str:
    """Name the machine in a few words."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory = psutil.virtual_memory().total / 2**30
    name = model.group(1).strip() if model else platform.machine()
    return f"{psutil.cpu_count()} cores of {name}, {memory:.0f} GiB, no GPU, {datetime.now(UTC):%Y-%m-%d}"


def write_section(mark: str, text: str) -> None:
    """Replace what stands between `<!-- mark -->` and `<!-- /mark -->`; ValueError where a mark is missing."""
    content = README.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    if not pattern.search(content):
        raise ValueError(f"README.md has no place for `{mark}`")
    README.write_text(pattern.sub(lambda found: found[1] + text.strip() + "\n" + found[2], content), encoding="utf-8")
