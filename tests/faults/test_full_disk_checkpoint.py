"""D1: a checkpoint that does not fit leaves the last one, and can be written once there is space."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.catalog.checkpoints import read_record
from backend.spec.run import RunSpec

pytestmark = pytest.mark.torch


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses what is longer with an error; Python ignores the signal that goes with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_d1_c1_a_checkpoint_that_does_not_fit_leaves_the_last_one_whole(tmp_path: Path):
    from backend.programs.model.checkpoint import save_checkpoint
    from backend.programs.model.demo_model import make_untrained
    from backend.programs.model.encoder import Encoder
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.parts import apply_strategy

    base, saved = tmp_path / "base", tmp_path / "run" / "final_model"
    make_untrained(base, seed=3)
    spec = RunSpec().with_values({"strategy.name": "full", "model.base": str(base)})
    model = apply_strategy(load_base(base, choose_precision("fp32")), spec)
    encoder = Encoder(base, min_pixels=4 * 784, max_pixels=64 * 784)
    save_checkpoint(model, encoder, spec, saved, 1)
    before = content(saved)

    for size in (300_000, 2_000):  # within the weights, within what lies beside them
        with files_of_at_most(size), pytest.raises(Exception, match=r"[Ff]ile too large"):
            save_checkpoint(model, encoder, spec, saved, 2)
        assert content(saved) == before
        assert [path.name for path in saved.parent.iterdir()] == [saved.name]

    save_checkpoint(model, encoder, spec, saved, 2)
    record = read_record(saved)
    assert record is not None
    assert record.step == 2
