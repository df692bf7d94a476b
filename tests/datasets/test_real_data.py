"""Datasets as their repositories ship them: the same layouts in small, and the real ones where they lie at hand."""

import os
from pathlib import Path

import pytest
from dataset_lab import folder_of, image_bytes, lines_of

from backend.datasets.store import ImportOptions

REAL = os.environ.get("STUDIO_REALDATA")


def test_the_official_demo_layout_imports_as_it_lies(store, tmp_path):
    rows = [
        {"image": "demo/images/10095.png", "conversations": [
            {"from": "human", "value": "Is the value 38?\n<image>"}, {"from": "gpt", "value": "Yes"}]},
        {"image": "demo/images/10149.png", "conversations": [
            {"from": "human", "value": "In which year?\n<image>"}, {"from": "gpt", "value": "2014"}]},
    ]  # fmt: skip
    folder = folder_of(tmp_path / "qwen", {
        "single_images.json": rows, "images/10095.png": image_bytes(), "images/10149.png": image_bytes(color="blue"),
        "images/unused.jpg": image_bytes(kind="JPEG"),
    })  # fmt: skip

    from_folder = store.import_dataset(folder, ImportOptions())
    from_file = store.import_dataset(folder / "single_images.json", ImportOptions(name="file"))

    assert from_folder.manifest.problem_counts == {"IMG_UNREFERENCED": 1}
    assert from_file.manifest.problem_counts == {}
    assert from_folder.manifest.notices[0].startswith(
        "2 image paths were matched by the ending, e.g. `demo/images/10095.png`"
    )
    assert [row.messages[0].content for row in store.rows("file")] == [
        "Is the value 38?<image>",
        "In which year?<image>",
    ]


def test_the_llama_factory_demo_layouts_import_as_they_lie(store, tmp_path):
    sharegpt = {
        "messages": [
            {"content": "<image>Who?", "role": "user"}, {"content": "Kane.", "role": "assistant"},
            {"content": "What now?<image>", "role": "user"}, {"content": "他们在庆祝。", "role": "assistant"},
        ],
        "images": ["mllm_demo_data/1.jpg", "mllm_demo_data/1.jpg"],
    }  # fmt: skip
    shown = {"type": "image_url", "value": "data/mllm_demo_data/1.jpg"}

    def text(value):
        return {"type": "text", "value": value}

    parts = {
        "messages": [
            {"role": "user", "content": [shown, text("Who?")]},
            {"role": "assistant", "content": [text("Kane.")]},
            {"role": "user", "content": [text("What now?"), shown]},
            {"role": "assistant", "content": [text("他们在庆祝。")]},
        ]
    }
    files = {"mllm_demo.json": [sharegpt], "v1.jsonl": lines_of([parts, parts])}
    folder = folder_of(tmp_path / "lf", files | {"mllm_demo_data/1.jpg": image_bytes(kind="JPEG")})

    report = store.import_dataset(folder, ImportOptions())

    rows = list(store.rows("lf"))
    assert [row.messages for row in rows] == [rows[0].messages] * 3
    assert {row.images for row in rows} == {rows[0].images}
    assert report.manifest.problem_counts == {"ROWS_EQUAL": 2}


@pytest.mark.skipif(not REAL, reason="STUDIO_REALDATA names no folder with the real datasets")
@pytest.mark.parametrize(
    ("source", "layout", "rows", "images", "unused"),
    [
        ("qwen_official", "llava", 3, 2, 1),
        ("qwen_official/single_images.json", "llava", 3, 2, 0),
        ("llamafactory/mllm_demo.json", "messages", 6, 3, 0),
        ("llamafactory/v1_multimodal_demo.jsonl", "parts", 24, 3, 0),
        ("llamafactory", "parts", 30, 3, 0),
    ],
)
def test_the_real_datasets_import_without_a_question(store, source, layout, rows, images, unused):
    seen = store.inspect(Path(REAL or "") / source)
    report = store.import_dataset(Path(REAL or "") / source, ImportOptions(name="real"))

    assert (report.manifest.layout, report.manifest.statistics.rows, report.manifest.statistics.images) == (
        layout,
        rows,
        images,
    )
    assert seen.rows == rows
    counts = dict(report.manifest.problem_counts)
    counts.pop("ROWS_EQUAL", None)  # the demo sets of LLaMA-Factory hold the same rows several times
    assert counts == ({"IMG_UNREFERENCED": unused} if unused else {})
    assert report.manifest.skipped_rows == 0
    assert store.check("real") == []
