import random

import pytest
from PIL import Image

from backend.errors import DatasetError
from backend.image_size import CELL_PX, resized, tokens_for_image

CELL = CELL_PX * CELL_PX


def sizes(count: int) -> list[tuple[int, int, int, int]]:
    chance = random.Random(7)
    found = []
    while len(found) < count:
        height, width = (round(2 ** chance.uniform(0, 13)) for _ in range(2))
        low = chance.choice([1, 4, 16, 256]) * CELL
        if max(height, width) / min(height, width) <= 200:
            found.append((height, width, low, low * chance.choice([1, 2, 36, 1280])))
    return found


def test_a_image_costs_one_token_for_each_cell_of_its_resized_area():
    assert resized(480, 640, 4 * CELL, 576 * CELL) == (476, 644)
    assert tokens_for_image(480, 640, 4 * CELL, 576 * CELL) == 17 * 23


def test_resized_sides_are_multiples_of_a_cell_and_never_zero():
    for height, width, low, high in sizes(500):
        rows, columns = resized(height, width, low, high)

        assert rows % CELL_PX == columns % CELL_PX == 0
        assert rows >= CELL_PX
        assert columns >= CELL_PX


@pytest.mark.parametrize(("height", "width"), [(1, 201), (5000, 20), (0, 10)])
def test_a_strip_is_refused_with_its_size(height, width):
    with pytest.raises(DatasetError, match=f"{width:,} x {height:,} px"):
        resized(height, width, 4 * CELL, 576 * CELL)


@pytest.mark.torch
def test_sizes_equal_those_of_transformers():
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

    for height, width, low, high in sizes(5000):
        theirs = smart_resize(height, width, factor=CELL_PX, min_pixels=low, max_pixels=high)

        assert resized(height, width, low, high) == theirs


@pytest.mark.torch
def test_u10_training_sees_a_turned_image_as_the_preview_counts_it(tmp_path):
    from backend.datasets.store import DatasetStore, ImportOptions
    from backend.programs.model.encoder import open_image, sized_image
    from backend.settings import Workspace

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100), "red").save(tmp_path / "a.jpg", exif=exif)
    (tmp_path / "rows.csv").write_text("image,question,answer\na.jpg,Q,A\n")
    workspace = Workspace(tmp_path / "workspace")
    workspace.prepare()
    report = DatasetStore(workspace).import_dataset(tmp_path / "rows.csv", ImportOptions(name="turned"))
    [stored] = (DatasetStore(workspace).folder("turned") / "images").iterdir()

    seen = sized_image(open_image(stored), 4 * CELL, 576 * CELL)

    assert report.manifest.statistics.width_px == (100, 100, 100)
    assert seen.size == resized(200, 100, 4 * CELL, 576 * CELL)[::-1]
