"""P2, P9, S4, S12, U18, D1: whatever is killed and wherever the disk is full, what is told afterwards is true.

The long form is `python -m tests.benchmarks.measure_faults`.
"""

import random

import pytest

from tests.faults.fault_campaign import Campaign
from tests.faults.full_disk import on_a_small_disk

KILLS = {"web process": 1, "keeper": 2, "trainer": 2, "importer": 1}
SAYS_NOTHING = {"audit"}  # what was done is not undone because its line does not fit


@pytest.mark.long
def test_p2_p9_s4_s12_u18_killed_at_random_moments_all_is_told_as_it_was(tmp_path):
    seed = random.SystemRandom().randrange(1_000_000)
    print(f"seed {seed}")  # with `measure_faults --seed`, the same draws
    campaign = Campaign(tmp_path, seed, steps=12)
    try:
        found = campaign.run(KILLS, most_s=0.7)
    finally:
        campaign.close()

    assert found.wrong == []
    assert found.kills == KILLS
    assert found.runs > 3
    assert found.lines > 0


@pytest.mark.needs("tmpfs")
def test_d1_every_writer_says_that_the_disk_is_full_and_goes_on_once_it_is_not(tmp_path):
    trials = {trial.writer: trial for trial in on_a_small_disk(tmp_path)}

    assert len(trials) == 10
    assert [trial for trial in trials.values() if not (trial.is_intact and trial.works_again)] == []
    assert {name for name, trial in trials.items() if not trial.message} == SAYS_NOTHING
    assert [trial.message for trial in trials.values() if "Traceback" in trial.message] == []
    assert "disk is full" in trials["dataset import"].message
    assert trials["a run at work"].message == "failed: The disk is full"
