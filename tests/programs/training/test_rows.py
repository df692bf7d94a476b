"""The order of samples: seeded, the same on every rank, mixed by weight."""

from collections import Counter

import pytest

pytestmark = pytest.mark.torch


def order_of(sources, seed=3, epoch=0):
    from backend.programs.training.rows import epoch_order

    return epoch_order(sources, seed, epoch)


def sources_of(*weights: float):
    from backend.programs.training.rows import DatasetSlice

    return [DatasetSlice(str(place), 10 * place, 10, round(10 * weight)) for place, weight in enumerate(weights)]


def test_one_pass_shows_every_row_once_in_a_seeded_order():
    first = order_of(sources_of(1.0))

    assert sorted(first) == list(range(10))
    assert first == order_of(sources_of(1.0))
    assert first != order_of(sources_of(1.0), epoch=1)
    assert first != order_of(sources_of(1.0), seed=4)


def test_a_weight_of_two_shows_each_row_twice_a_pass():
    counts = Counter(order_of(sources_of(2.0, 1.0)))

    assert [counts[row] for row in range(20)] == [2] * 10 + [1] * 10


def test_half_a_weight_shows_the_other_half_in_the_next_pass():
    first, second = (order_of(sources_of(0.5), epoch=epoch) for epoch in (0, 1))

    assert len(first) == len(second) == 5
    assert sorted(first + second) == list(range(10))


def test_a_run_reads_the_version_it_was_created_with(tmp_path):
    from backend.datasets.editing import Edits
    from backend.datasets.store import DatasetStore, ImportOptions
    from backend.errors import DatasetError
    from backend.programs.training.rows import TrainingRows
    from backend.recipes.library import load_recipe
    from backend.recipes.resolve import resolve
    from backend.row_length import RowMeter
    from backend.settings import DEMO_MODEL, Workspace

    workspace = Workspace(tmp_path)
    workspace.prepare()
    store = DatasetStore(workspace)
    (tmp_path / "rows.csv").write_text("question,answer\n" + "".join(f"Q{n},A{n}\n" for n in range(4)))
    store.import_dataset(tmp_path / "rows.csv", ImportOptions(name="rows"))
    spec = load_recipe("lora").spec.with_values({"data.datasets": [{"name": "rows"}]})
    recorded = resolve(spec, workspace)
    first, second, *_ = store.rows("rows")
    store.apply_edits("rows", Edits({first.id: "Changed"}, frozenset({second.id})))

    def golds(of):
        rows = TrainingRows(of, workspace, None, RowMeter(DEMO_MODEL))
        return [rows.question(place).row.gold for place in range(len(rows))]

    assert golds(recorded) == ["A0", "A1", "A2", "A3"]
    assert golds(resolve(spec, workspace)) == ["Changed", "A2", "A3"]
    for version in store.folder("rows").glob("versions/*.json"):
        version.unlink()
    with pytest.raises(DatasetError, match="has changed since version") as caught:
        golds(recorded)
    assert "Start the run again" in caught.value.hint
