"""D1, D7: a disk that refuses ends the start of the studio, and every command, in words and with exit code 2."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from backend.settings import ROOT

STARTED = {"new, enough room", "full"}  # on a full disk what was made earlier can be looked at, and deleted
DISK = 'mount -t tmpfs -o size=6m none "$1" && exec "$2" tests/faults/full_disk_start.py "$1"'


@pytest.mark.long
@pytest.mark.needs("tmpfs")
def test_d1_d7_a_start_or_a_command_that_the_disk_refuses_ends_in_words_and_with_2(tmp_path: Path):
    argv = ["unshare", "-Urm", "sh", "-c", DISK, "sh", str(tmp_path), sys.executable]
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, timeout=280, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = {label: (code, text) for label, code, text in map(json.loads, done.stdout.splitlines())}

    assert len(outcomes) == 10
    assert {label for label, (_, text) in outcomes.items() if text.startswith("VL Studio on")} == STARTED
    refused = {label: outcome for label, outcome in outcomes.items() if label not in STARTED}
    assert {label: code for label, (code, _) in refused.items() if code != 2} == {}
    assert [text for _, text in outcomes.values() if "Traceback" in text] == []
    assert [text for _, text in refused.values() if text.count("\n") != 2 or "\nhint: " not in text] == []
    assert [label for label, (_, text) in refused.items() if ("full" in label or "free" in label) and not
            ("disk is full" in text or "No space left" in text)] == []  # fmt: skip
    assert "--workspace" in outcomes["new, 0 pages free"][1]
    assert "the disk is full (" in outcomes["new, 5 pages free"][1]
