"""`studio doctor`: what this machine can do, what is missing, and how to get it."""

import os
import platform
import shutil
import sys
from importlib import metadata
from typing import Literal, NamedTuple

import psutil
import typer

from backend.catalog.checkpoints import model_folder
from backend.settings import hub_endpoint
from launcher.devices import describe, find_devices
from studio.cli import context
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json, print_table

NEEDED = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "deepspeed", "trl", "gradio", "sqlalchemy")
LOW_DISK_BYTES = 10 * 10**9


class Finding(NamedTuple):
    """One line of the report."""

    what: str
    verdict: Literal["ok", "note", "missing"]
    said: str
    hint: str = ""


@explained
def doctor(as_json: JSON_OPTION = False) -> None:
    """Say what this machine can do, what is missing, and how to get it; exit code 1 where a needed part is missing."""
    findings = [_system(), _python(), *_packages(), _devices(), _memory(), _disk(), _demo(), _hub()]
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        print_table(("what", "verdict", "", "what to do"), findings, empty="")
    if any(finding.verdict == "missing" for finding in findings):
        raise typer.Exit(RUN_FAILED)


@explained
def devices(as_json: JSON_OPTION = False) -> None:
    """Say what runs and chats can use on this machine, who holds it, and since when."""
    launcher = context.launcher()
    launcher.reconcile()
    held = launcher.runs.leases()
    found = [
        {
            "device": device.name,
            "label": device.label,
            "memory_gb": round(device.memory_bytes / 1e9, 1),
            "held_by": [
                {"run": lease.run_id, "chat": None if lease.run_id else lease.label, "since": lease.since}
                for lease in held
                if lease.device == device.name
            ],
        }
        for device in launcher.devices
    ]
    if as_json:
        print_json(found)
        return
    who = {device.name: [lease.said for lease in held if lease.device == device.name] for device in launcher.devices}
    rows = [
        (device.name, device.label, f"{device.memory_bytes / 1e9:.0f} GB", ", ".join(who[device.name]) or "free")
        for device in launcher.devices
    ]
    print_table(
        ("device", "", "memory", "held by"), rows, empty="The GPU driver does not answer; ask again in a minute"
    )


def _system() -> Finding:
    if platform.system() != "Linux":
        return Finding("system", "missing", platform.system(), "Runs need Linux's /proc; use WSL or a container")
    return Finding("system", "ok", f"Linux {platform.release()}, {platform.machine()}")


def _python() -> Finding:
    said = platform.python_version()
    fits = (3, 11) <= sys.version_info < (3, 13)
    return Finding("python", "ok" if fits else "missing", said, "" if fits else "Install Python 3.11 or 3.12")


def _packages() -> list[Finding]:
    found = []
    for name in NEEDED:
        try:
            found.append(Finding(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            found.append(Finding(name, "missing", "not installed", "pip install -e ."))
    return found


def _devices() -> Finding:
    devices = find_devices(dict(os.environ))
    has_gpu = any(device.name.startswith("cuda") for device in devices)
    hint = "" if has_gpu else "The demo model trains on this CPU; the released models need an NVIDIA GPU"
    return Finding("devices", "ok" if has_gpu else "note", describe(devices), hint)


def _memory() -> Finding:
    memory = psutil.virtual_memory()
    return Finding("memory", "ok", f"{memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB free")


def _disk() -> Finding:
    free = shutil.disk_usage(context.workspace().output).free
    is_low = free < LOW_DISK_BYTES
    hint = "Set STUDIO_WORKSPACE to a larger disk, or delete old runs" if is_low else ""
    return Finding("disk", "note" if is_low else "ok", f"{free / 1e9:.0f} GB free", hint)


def _demo() -> Finding:
    is_here = model_folder("demo", context.workspace()) is not None
    return Finding("demo model", "ok" if is_here else "missing", "ships with the studio" if is_here else "not found")


def _hub() -> Finding:
    return Finding(
        "model hub",
        "note",
        hub_endpoint() or "the hub client's own",
        "Only `studio models get` uses it; HF_ENDPOINT names another",
    )
