import pytest

from backend.datasets.problems import UploadRefused
from backend.datasets.store import DatasetStore, ImportOptions
from backend.settings import Workspace
from tests.cases.shapes import SHAPES, Shape
from tests.datasets.dataset_lab import folder_of, image_bytes

IMAGES = {f"img/{n}.png": image_bytes(size=(100, 80), color=(n, 9, 9)) for n in range(3)}


@pytest.fixture
def store(tmp_path):
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    return DatasetStore(workspace)


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.name for shape in SHAPES])
def test_each_shape_is_read_rightly_or_refused_in_words(store: DatasetStore, tmp_path, shape: Shape):
    source = folder_of(tmp_path / "up", IMAGES | shape.files)
    options = ImportOptions(validation_share=0)
    if shape.refused:
        with pytest.raises(UploadRefused) as caught:
            store.import_dataset(source, options)
        told = [caught.value.message, caught.value.hint, *(problem.message for problem in caught.value.problems)]
        assert any(shape.refused in text for text in told), told
        return

    report = store.import_dataset(source, options)

    rows = list(store.rows("up"))
    found = [(row.messages[0].content, row.gold) for row in rows]
    assert tuple(found[: len(shape.rows)]) == shape.rows
    assert len(found) == len(shape.rows) or shape.parts
    assert shape.told in " ".join([*report.manifest.notices, *(problem.message for problem in report.problems)])
    if shape.parts:
        counts = report.manifest.statistics
        assert (counts.train_rows, counts.validation_rows, counts.test_rows) == shape.parts


def test_every_shape_stands_in_the_docs():
    from backend.settings import ROOT

    page = (ROOT / "static/docs/data.md").read_text(encoding="utf-8")

    assert [shape.name for shape in SHAPES if f"| {shape.name} |" not in page] == []
