"""A free port for a run's processes to meet at."""

import base64
import json
import os
import shlex
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

from backend.runs.folder import FOLDER_MARKER, RUN_MARKER, RunFolder
from backend.settings import ROOT, child_environment
from launcher.keeper_settings import KeeperSettings

LOOPBACK = "127.0.0.1"
_TRIES = 100
PORT_FLAG = "--master_port"
# How often a thread looks for work before it sleeps. By default it looks for milliseconds: the quickest way, but two
# programs that do so on the same cores stand still. The one run that holds the CPU does, and makes room for others
# (`backend.programs.model.cpu_threads`); all that computes beside it sleeps soon.
SPIN_COUNT, SPINS = "GOMP_SPINCOUNT", "1000"


def free_port(taken: set[int]) -> int:
    """Return a port on which nobody listens and which is not in `taken`.

    Somebody else may take it before the run does; its keeper then tries another.
    """
    for _ in range(_TRIES):
        with socket.socket() as probe:
            probe.bind((LOOPBACK, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port
    raise OSError("no free port was found")


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start. What is shown is what runs."""

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)  # added to `child_environment()`

    def as_shell(self) -> str:
        """Render for a person to copy into a terminal."""
        assignments = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.env.items())]
        return " ".join([*assignments, shlex.join(self.argv)])

    def environment(self) -> dict[str, str]:
        """All that the process sees: what it needs to run, and no secret of the studio or the person."""
        return child_environment() | self.env


def training_command(
    folder: RunFolder, devices: tuple[str, ...], master_port: int, *, threads: int = 0, processes: int = 1
) -> Command:
    """Train the run in `folder` with DeepSpeed's launcher for one machine; its folder is the program's only argument.

    What stands before it in DeepSpeed, the runner that finds machines, would load torch once more for nothing.

    Args:
        folder: the run's; everything else is in its spec.json.
        devices: `cuda:<index>` each, or `cpu:0` alone.
        master_port: where the run's processes meet.
        threads: of each process; 0 shares the cores out.
        processes: how many on a CPU; on GPUs there is one for each.
    """
    launcher = [
        sys.executable, "-u", "-m", "deepspeed.launcher.launch", "--log_level", "error",
        f"--world_info={_world(devices, processes)}", "--master_addr", LOOPBACK, PORT_FLAG, str(master_port),
    ]  # fmt: skip
    program = ["--no_local_rank", "--module", "backend.programs.training", str(folder.path.resolve())]
    return Command((*launcher, *program), run_environment(folder, devices, threads=threads, processes=processes))


def evaluation_command(folder: RunFolder, devices: tuple[str, ...], *, threads: int = 0) -> Command:
    """Evaluate as the run in `folder` says."""
    return _alone("backend.programs.evaluation", folder, devices, threads)


def dry_run_command(folder: RunFolder, devices: tuple[str, ...], *, threads: int = 0) -> Command:
    """Score rows by the rewards of the run in `folder`; a person waits for it, so nothing stands before it."""
    return _alone("backend.programs.training.reward_dry_run", folder, devices, threads)


def keeper_command(folder: RunFolder, settings: KeeperSettings, devices: tuple[str, ...]) -> Command:
    """Watch over the run in `folder`; what the keeper starts is in the run's command.json."""
    program = (sys.executable, "-m", "launcher.keeper", str(folder.path.resolve()))
    return Command((*program, settings.model_dump_json(), ",".join(devices)), {"PYTHONPATH": _python_path()})


def run_environment(
    folder: RunFolder, devices: tuple[str, ...], *, threads: int = 0, processes: int = 1
) -> dict[str, str]:
    """What every process of a run sees beside `child_environment()`."""
    inherited = child_environment()
    shared_out = _cores_for(max(len(devices), processes))
    thread_count = str(threads) if threads else inherited.get("OMP_NUM_THREADS", str(shared_out))
    environment = _program_settings() | {
        RUN_MARKER: folder.run_id,
        FOLDER_MARKER: str(folder.path.resolve()),
        "OMP_NUM_THREADS": thread_count,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",  # the order of nvidia-smi, by which devices are counted here
    }
    if devices == ("cpu:0",):
        environment["DS_ACCELERATOR"] = "cpu"
    if devices == ("cpu:0",) and processes == 1 and SPIN_COUNT not in inherited:
        del environment[SPIN_COUNT]
    return environment


def program_environment() -> dict[str, str]:
    """What a program that is no run sees, the export for one."""
    return child_environment() | _program_settings()


def with_port(argv: tuple[str, ...], port: int) -> tuple[str, ...]:
    """The same command at another meeting port; unchanged where it names none."""
    if PORT_FLAG not in argv:
        return argv
    at = argv.index(PORT_FLAG) + 1
    return (*argv[:at], str(port), *argv[at + 1 :])


def _alone(program: str, folder: RunFolder, devices: tuple[str, ...], threads: int) -> Command:
    """Run a program as one process on one device, its folder its only argument."""
    argv = (sys.executable, "-u", "-m", program, str(folder.path.resolve()))
    chosen = {} if devices == ("cpu:0",) else {"CUDA_VISIBLE_DEVICES": devices[0].removeprefix("cuda:")}
    return Command(argv, run_environment(folder, devices, threads=threads) | chosen)


def _program_settings() -> dict[str, str]:
    return {
        "PYTHONPATH": _python_path(),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",  # models were fetched before; a program must not wait for a network
        "TOKENIZERS_PARALLELISM": "false",
        SPIN_COUNT: child_environment().get(SPIN_COUNT, SPINS),
    }


def _python_path() -> str:
    """Where `-m backend.programs.training` is found, whatever the working directory."""
    inherited = child_environment().get("PYTHONPATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([str(ROOT), *(str(Path(place).resolve()) for place in inherited if place)]))


def _world(devices: tuple[str, ...], processes: int) -> str:
    """Name the processors as DeepSpeed reads them: GPUs by index; on a CPU a number for each process."""
    places = range(processes) if devices == ("cpu:0",) else [int(device.removeprefix("cuda:")) for device in devices]
    return base64.urlsafe_b64encode(json.dumps({"localhost": list(places)}).encode()).decode()


def _cores_for(processes: int) -> int:
    return max(1, len(os.sched_getaffinity(0)) // max(1, processes))
