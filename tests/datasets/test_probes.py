"""The probes: the same few questions every time, and nothing that could be trained on."""

import subprocess
import sys
from collections import Counter

import pytest

from backend.datasets.editing import Edits
from backend.demo.probes import ABILITIES, PROBES, ROWS_PER_ABILITY, prepare_probes, probes
from backend.errors import SpecError
from backend.recipes.library import load_recipe
from backend.recipes.resolve import resolve
from backend.settings import ROOT


@pytest.fixture
def rows(store):
    assert prepare_probes(store) == PROBES == "general-probes"
    return list(store.rows(PROBES))


def test_every_ability_is_asked_about_and_every_row_is_held_out(store, rows):
    assert Counter(row.id.rpartition("-")[0] for row in rows) == dict.fromkeys(ABILITIES, ROWS_PER_ABILITY)
    assert {row.split for row in rows} == {"validation"}
    assert rows[0].id == "colour-01"
    assert len(rows) == len({row.id for row in rows}) == 48
    assert len({(row.messages, row.images) for row in rows}) == 48
    assert store.check(PROBES) == []


def test_some_have_a_image_and_some_are_text(rows):
    imaged = Counter(row.id.rpartition("-")[0] for row in rows if row.images)

    assert imaged == dict.fromkeys(("colour", "count", "yesno", "side", "read", "chinese"), ROWS_PER_ABILITY)
    assert all(row.messages[0].content.count("<image>") == len(row.images) for row in rows)


def test_answers_are_short_and_of_more_than_one_kind(rows):
    for ability in ABILITIES:
        golds = [row.gold for row in rows if row.id.startswith(ability)]
        assert all(0 < len(gold) <= 20 for gold in golds)
        assert len(set(golds)) > 1
        assert Counter(golds).most_common(1)[0][1] <= ROWS_PER_ABILITY // 2
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in row.gold) for row in rows if "chinese" in row.id)
    assert {row.gold for row in rows if "yesno" in row.id} == {"yes", "no"}
    assert {row.gold for row in rows if "side" in row.id} == {"left", "right"}


def test_they_are_the_same_in_another_process(store, rows, workspace, tmp_path):
    code = (
        "import sys; from pathlib import Path; from backend.settings import Workspace\n"
        "from backend.datasets.store import DatasetStore; from backend.demo.probes import prepare_probes\n"
        "store = DatasetStore(Workspace(Path(sys.argv[1]))); print(store.get(prepare_probes(store)).sha256)\n"
        "heavy = {'torch', 'transformers', 'numpy', 'pyarrow'} & set(sys.modules); assert not heavy, heavy"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == store.get(PROBES).sha256


def test_two_lists_of_probes_are_equal():
    def plain():
        return [(p.id, p.question, p.answer, p.references, p.image and p.image.tobytes()) for p in probes()]

    assert plain() == plain()


def test_they_are_made_once_and_again_where_they_differ(store, rows, monkeypatch):
    made = store.get(PROBES)
    prepare_probes(store)
    assert store.get(PROBES) == made

    store.apply_edits(PROBES, Edits(excluded=frozenset({"colour-01"})))
    prepare_probes(store)
    assert list(store.rows(PROBES)) == rows
    assert len(store.versions(PROBES)) == 2

    monkeypatch.setattr("backend.demo.probes.CHANGE", "Drawn by the studio, version 2")
    prepare_probes(store)
    assert store.get(PROBES).change == "Drawn by the studio, version 2"
    assert store.check(PROBES) == []


def test_nobody_can_train_on_them(store, rows, workspace):
    spec = load_recipe("lora").spec.with_values({"data.datasets": [{"name": PROBES}]})

    with pytest.raises(SpecError, match="`general-probes` has no training rows") as caught:
        resolve(spec, workspace)

    assert "Choose another dataset" in caught.value.hint


def test_a_copy_of_probes_stays_held_out(store, rows):
    made = store.copy_rows(PROBES, ["colour-01", "sum-01"], "hard")

    assert (made.statistics.train_rows, made.statistics.validation_rows) == (0, 2)


def test_they_are_no_demo_dataset():
    from backend.demo.datasets import DEMO_DATASETS

    assert PROBES not in {demo.name for demo in DEMO_DATASETS}
