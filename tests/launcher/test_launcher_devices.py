"""Which devices a machine has, with a fake `nvidia-smi` at the process boundary."""

from pathlib import Path

import pytest

from launcher.devices import Device, describe, find_devices

LISTING = "0, GPU-aaaaaaaa-1, NVIDIA H100, 81559\n1, GPU-bbbbbbbb-2, NVIDIA H100, 81559\n"


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["cuda:0", "cuda:1"]),
        ("1", ["cuda:1"]),
        ("GPU-aaaaaaaa", ["cuda:0"]),
        ("0,1", ["cuda:0", "cuda:1"]),
        ("", ["cpu:0"]),
        ("-1", ["cpu:0"]),
    ],
)
def test_only_visible_gpus_are_given_out(two_gpus, visible: str | None, names: list[str]) -> None:
    found = find_devices({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})

    assert [device.name for device in found] == names


def test_a_machine_without_gpus_is_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    (cpu,) = find_devices({})

    assert cpu.name == "cpu:0"
    assert "CPU cores · " in describe((cpu,))


def test_a_driver_that_fails_leaves_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    assert [device.name for device in find_devices({})] == ["cpu:0"]


def test_like_devices_are_counted() -> None:
    gpus = tuple(Device(f"cuda:{index}", "NVIDIA H100", 85_520_809_984) for index in range(4))

    assert describe(gpus) == "4 x NVIDIA H100 · 86 GB"
