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


class SystemCheck(NamedTuple):
    """One line of the report."""

    name: str
    verdict: Literal["ok", "note", "missing"]
    detail: str
    hint: str = ""


@explained
def doctor(as_json: JSON_OPTION = False) -> None:
    """Say what this machine can do, what is missing, and how to get it; exit code 1 where a needed part is missing."""
    checks = [_system(), _python(), *_packages(), _devices(), _memory(), _disk(), _demo(), _hub()]
    if as_json:
        print_json([dict(zip(("what", "verdict", "said", "hint"), check, strict=True)) for check in checks])
    else:
        print_table(("what", "verdict", "", "what to do"), checks, empty="")
    if any(check.verdict == "missing" for check in checks):
        raise typer.Exit(RUN_FAILED)


@explained
def devices(as_json: JSON_OPTION = False) -> None:
    """Say what runs and chats can use on this machine, who holds it, and since when."""
    launcher = context.launcher()
    launcher.reconcile()
    leases = launcher.runs.leases()
    report = [
        {
            "device": device.name,
            "label": device.label,
            "memory_gb": round(device.memory_bytes / 1e9, 1),
            "held_by": [
                {"run": lease.run_id, "chat": None if lease.run_id else lease.label, "since": lease.since}
                for lease in leases
                if lease.device == device.name
            ],
        }
        for device in launcher.devices
    ]
    if as_json:
        print_json(report)
        return
    holders = {
        device.name: [lease.holder_label for lease in leases if lease.device == device.name]
        for device in launcher.devices
    }
    rows = [
        (device.name, device.label, f"{device.memory_bytes / 1e9:.0f} GB", ", ".join(holders[device.name]) or "free")
        for device in launcher.devices
    ]
    print_table(
        ("device", "", "memory", "held by"), rows, empty="The GPU driver does not answer; ask again in a minute"
    )


def _system() -> SystemCheck:
    if platform.system() != "Linux":
        return SystemCheck("system", "missing", platform.system(), "Runs need Linux's /proc; use WSL or a container")
    return SystemCheck("system", "ok", f"Linux {platform.release()}, {platform.machine()}")


def _python() -> SystemCheck:
    fits = (3, 11) <= sys.version_info < (3, 13)
    return SystemCheck(
        "python", "ok" if fits else "missing", platform.python_version(), "" if fits else "Install Python 3.11 or 3.12"
    )


def _packages() -> list[SystemCheck]:
    checks = []
    for name in NEEDED:
        try:
            checks.append(SystemCheck(name, "ok", metadata.version(name)))
        except metadata.PackageNotFoundError:
            checks.append(SystemCheck(name, "missing", "not installed", "pip install -e ."))
    return checks


def _devices() -> SystemCheck:
    devices = find_devices(dict(os.environ))
    has_gpu = any(device.name.startswith("cuda") for device in devices)
    hint = "" if has_gpu else "The demo model trains on this CPU; the released models need an NVIDIA GPU"
    return SystemCheck("devices", "ok" if has_gpu else "note", describe(devices), hint)


def _memory() -> SystemCheck:
    memory = psutil.virtual_memory()
    return SystemCheck("memory", "ok", f"{memory.available / 1e9:.0f} of {memory.total / 1e9:.0f} GB free")


def _disk() -> SystemCheck:
    free = shutil.disk_usage(context.workspace().output).free
    is_low = free < LOW_DISK_BYTES
    hint = "Set STUDIO_WORKSPACE to a larger disk, or delete old runs" if is_low else ""
    return SystemCheck("disk", "note" if is_low else "ok", f"{free / 1e9:.0f} GB free", hint)


def _demo() -> SystemCheck:
    is_here = model_folder("demo", context.workspace()) is not None
    return SystemCheck(
        "demo model", "ok" if is_here else "missing", "ships with the studio" if is_here else "not found"
    )


def _hub() -> SystemCheck:
    return SystemCheck(
        "model hub",
        "note",
        hub_endpoint() or "the hub client's own",
        "Only `studio models get` uses it; HF_ENDPOINT names another",
    )
