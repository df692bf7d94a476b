"""A run's own copy of its rewards; one that goes on takes its parent's, as long as it is what the spec names."""

from backend.rewards.builtin_library import builtin_source
from backend.rewards.store import RewardStore, copy_reward_sources
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec

FIRST = "def reward(completions, **columns):\n    return [0.5 for _ in completions]\n"


def test_a_run_that_goes_on_takes_its_parents_copies_also_after_an_edit(tmp_path):
    workspace = Workspace(tmp_path)
    workspace.prepare()
    store = RewardStore(workspace)
    mine = store.save("mine", FIRST)
    shares = [{"name": "mine", "sha256": mine.sha256},
              {"name": "length", "sha256": builtin_source("length").sha256}]  # fmt: skip
    spec = RunSpec().with_values({"kind": "grpo", "grpo.rewards": shares})
    parent, child, odd = (RunFolder(workspace.output / name) for name in ("parent", "child", "odd"))
    for folder in (parent, child, odd):
        folder.path.mkdir()

    copy_reward_sources(spec, parent, workspace)
    store.save("mine", FIRST.replace("0.5", "0.7"))
    resumed = spec.model_copy(update={"resumed_from": "parent/checkpoint-2"})
    copy_reward_sources(resumed, child, workspace)
    (parent.rewards / "mine.py").write_text("torn")
    copy_reward_sources(resumed, odd, workspace)

    for folder in (child, odd):
        assert (folder.rewards / "mine.py").read_text() == FIRST
        assert (folder.rewards / "length.py").read_text() == builtin_source("length").text
