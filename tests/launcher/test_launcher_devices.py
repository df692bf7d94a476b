"""Which devices a machine has, with a fake `nvidia-smi` at the process boundary."""

from collections.abc import Callable
from pathlib import Path

import pytest

from launcher import devices
from launcher.devices import Device, Machine, describe, find_devices

LISTING = "0, GPU-aaaaaaaa-1, NVIDIA H100, 81559\n1, GPU-bbbbbbbb-2, NVIDIA H100, 81559\n"
LISTS = f"cat <<'END'\n{LISTING}END\n"

Smi = Callable[[str], None]


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Smi:
    """Put a `nvidia-smi` of these shell lines on the path; the kernel module lists no GPU."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(devices, "DRIVER_LIST", tmp_path / "gpus")

    def put(lines: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{lines}\n")
        program.chmod(0o755)

    return put


@pytest.mark.parametrize(
    ("visible", "names"),
    [
        (None, ["cuda:0", "cuda:1"]),
        ("1", ["cuda:1"]),
        ("GPU-aaaaaaaa", ["cuda:0"]),
        ("0,1", ["cuda:0", "cuda:1"]),
        ("7", ["cpu:0"]),
        ("", ["cpu:0"]),
        ("-1", ["cpu:0"]),
    ],
)
def test_only_visible_gpus_are_given_out(
    smi: Smi, monkeypatch: pytest.MonkeyPatch, visible: str | None, names: list[str]
) -> None:
    smi(LISTS)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    found = find_devices({} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    machine = Machine()

    assert [device.name for device in found] == names
    assert machine.visible == found
    assert [device.name for device in machine.present] == ["cuda:0", "cuda:1"]
    assert machine.hides_gpus == (names == ["cpu:0"])


def test_a_machine_without_gpus_is_one_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    (cpu,) = find_devices({})

    assert cpu.name == "cpu:0"
    assert "CPU cores · " in describe((cpu,))
    assert not Machine().hides_gpus


@pytest.mark.parametrize("says", ["echo 'No devices were found'", "echo 'NVIDIA-SMI has failed'\nexit 9", "exit 6"])
def test_a_driver_without_a_gpu_leaves_the_cpu_unless_the_kernel_lists_one(smi: Smi, tmp_path: Path, says: str) -> None:
    smi(says)

    assert [device.name for device in find_devices({})] == ["cpu:0"]
    (tmp_path / "gpus").mkdir()
    assert [device.name for device in find_devices({})] == ["cpu:0"]
    (tmp_path / "gpus" / "0000:01:00.0").mkdir()
    assert find_devices({}) == ()


@pytest.mark.parametrize("says", ["exit 255", "echo 'Driver/library version mismatch'\nexit 18", "exec sleep 60"])
def test_a_driver_that_does_not_answer_is_no_machine_without_gpus(
    smi: Smi, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    monkeypatch.setattr(devices, "QUERY_TIMEOUT_S", 0.5)
    smi(says)

    assert find_devices({}) == ()
    assert describe(()) == "the GPU driver does not answer"


def test_a_driver_that_did_not_answer_is_asked_again_after_a_while(smi: Smi, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine()
    smi("exit 255")
    assert machine.visible == ()

    smi(LISTS)
    assert machine.visible == ()  # pages would wait for it at every look
    monkeypatch.setattr(devices, "RETRY_S", 0.0)
    assert [device.name for device in machine.visible] == ["cuda:0", "cuda:1"]

    smi("exit 255")
    assert [device.name for device in machine.visible] == ["cuda:0", "cuda:1"]


def test_like_devices_are_counted() -> None:
    gpus = tuple(Device(f"cuda:{index}", "NVIDIA H100", 85_520_809_984) for index in range(4))

    assert describe(gpus) == "4 x NVIDIA H100 · 86 GB"
