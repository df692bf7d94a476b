"""P1, P19: the command is data, the run's folder its only argument of ours."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.runs.folder import RunFolder
from backend.settings import ROOT
from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from launcher.commands import (
    Command,
    dry_run_command,
    evaluation_command,
    program_environment,
    training_command,
    with_port,
)

FOLDER = RunFolder(Path("/w/output/20260101-000000-a"))


def world_of(command: Command) -> dict[str, list[int]]:
    (world,) = [word.partition("=")[2] for word in command.argv if word.startswith("--world_info=")]
    return json.loads(base64.urlsafe_b64decode(world))


def test_on_a_cpu_the_command_names_a_number_of_processes() -> None:
    command = training_command(FOLDER, ("cpu:0",), 29501)

    assert command.argv == (
        *(sys.executable, "-u", "-m", "deepspeed.launcher.launch", "--log_level", "error", command.argv[6]),
        *(
            "--master_addr",
            "127.0.0.1",
            "--master_port",
            "29501",
            "--no_local_rank",
            "--module",
            "backend.programs.training",
        ),
        str(FOLDER.path),
    )
    assert world_of(command) == {"localhost": [0]}
    assert world_of(training_command(FOLDER, ("cpu:0",), 29501, processes=3)) == {"localhost": [0, 1, 2]}
    assert command.env["DS_ACCELERATOR"] == "cpu"


def test_on_gpus_the_command_names_each_of_them() -> None:
    command = training_command(FOLDER, ("cuda:0", "cuda:3"), 29501)

    assert world_of(command) == {"localhost": [0, 3]}
    assert "DS_ACCELERATOR" not in command.env
    assert command.env["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"


def test_a_dry_run_is_one_process_with_nothing_before_it() -> None:
    on_cpu, on_gpu = (dry_run_command(FOLDER, devices) for devices in (("cpu:0",), ("cuda:2", "cuda:3")))

    assert on_cpu.argv == on_gpu.argv == (
        *(sys.executable, "-u", "-m", "backend.programs.training.reward_dry_run"), str(FOLDER.path),
    )  # fmt: skip
    assert on_cpu.env["DS_ACCELERATOR"] == "cpu"
    assert on_gpu.env["CUDA_VISIBLE_DEVICES"] == "2"


def test_the_environment_names_the_run_and_finds_our_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("PYTHONPATH", "here")
    environment = training_command(FOLDER, ("cpu:0",), 29501).env

    assert environment["STUDIO_RUN_ID"] == FOLDER.run_id
    assert environment["STUDIO_RUN_DIR"] == str(FOLDER.path)
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(ROOT), str(Path("here").resolve())]
    assert environment["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert environment["HF_HUB_OFFLINE"] == "1"


def test_r12_the_wish_for_a_sandbox_reaches_the_program_that_runs_rewards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDIO_REQUIRE_SANDBOX", "1")

    assert training_command(FOLDER, ("cpu:0",), 29501).environment()["STUDIO_REQUIRE_SANDBOX"] == "1"


def test_a_number_of_threads_in_the_spec_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    assert training_command(FOLDER, ("cpu:0",), 1, threads=3).env["OMP_NUM_THREADS"] == "3"
    assert training_command(FOLDER, ("cpu:0",), 1).env["OMP_NUM_THREADS"] == "7"


def test_only_a_run_that_has_the_cpu_to_itself_waits_by_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)

    assert "GOMP_SPINCOUNT" not in training_command(FOLDER, ("cpu:0",), 1).env
    assert "GOMP_SPINCOUNT" not in evaluation_command(FOLDER, ("cpu:0",)).env
    for other in (training_command(FOLDER, ("cpu:0",), 1, processes=2), training_command(FOLDER, ("cuda:0",), 1)):
        assert other.env["GOMP_SPINCOUNT"] == "1000"
    assert program_environment()["GOMP_SPINCOUNT"] == "1000"

    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    assert training_command(FOLDER, ("cpu:0",), 1).env["GOMP_SPINCOUNT"] == "7"


def test_a_command_can_be_pasted_into_a_shell_as_it_is_shown() -> None:
    awkward = Command(
        (sys.executable, "-c", "import os, sys; print(os.environ['A'], sys.argv[1:])", "x; $(id)"), {"A": "1 2"}
    )

    shown = subprocess.run(["bash", "-c", awkward.as_shell()], capture_output=True, text=True, check=True)

    assert shown.stdout == "1 2 ['x; $(id)']\n"


def test_the_port_can_be_replaced_where_the_command_has_one() -> None:
    assert with_port(("a", "--master_port", "1", "b"), 2) == ("a", "--master_port", "2", "b")
    assert with_port(("a",), 2) == ("a",)


def test_deepspeed_is_told_what_the_spec_says() -> None:
    spec = RunSpec().with_values(
        {"batching.batch_size": 4, "batching.accumulation_steps": 2, "model.precision": "fp32"}
    )

    config = deepspeed_config(spec)

    assert config["train_micro_batch_size_per_gpu"] == 4
    assert config["gradient_accumulation_steps"] == 2
    assert config["bf16"] == {"enabled": False}
    assert config["zero_optimization"] == {"stage": 0}
    assert deepspeed_config(RunSpec())["bf16"] == {"enabled": "auto"}
