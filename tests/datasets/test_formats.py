"""Objects that hold rows, and files of other tools: read as rows, or named with the way to get there."""

import io
import json

import pyarrow as pa
import pytest
from dataset_lab import folder_of, image_bytes, lines_of, parquet_of

from backend.datasets.json_objects import UnclearObjectError, expanded, rows_in
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions

ROW = {"image": "a.png", "question": "Q", "answer": "A"}
OTHER = ROW | {"question": "R", "answer": "B"}
PAIRS = [{"question": "Q", "answer": "A"}, {"question": "R", "answer": "B"}]


@pytest.mark.parametrize(
    ("value", "rows"),
    [
        (ROW, [ROW]),
        (ROW | {"lines": [{"text": "x", "prompt": "y"}]}, [ROW | {"lines": [{"text": "x", "prompt": "y"}]}]),
        ({"image": "a.png", "qa_pairs": PAIRS}, [ROW, OTHER]),
        ({"info": {"description": "d"}, "data": [ROW, OTHER]}, [ROW, OTHER]),
        ({"version": "1", "dataset_split": "val", "data": [ROW]}, [{"dataset_split": "val"} | ROW]),
        ({"7": ROW, "9": OTHER}, [{"id": "7"} | ROW, {"id": "9"} | OTHER]),
        ({"train": [ROW], "val": [OTHER]}, [{"split": "train"} | ROW, {"split": "val"} | OTHER]),
        ({"data": {"train": [ROW], "test": [OTHER]}}, [{"split": "train"} | ROW, {"split": "test"} | OTHER]),
        ({"image": ["a.png"] * 2, "question": ["Q", "R"], "answer": ["A", "B"]}, [ROW, OTHER]),
        ({name: {"0": ROW[name], "1": OTHER[name]} for name in ROW}, [ROW, OTHER]),
        ({"columns": list(ROW), "index": [0, 1], "data": [list(ROW.values()), list(OTHER.values())]}, [ROW, OTHER]),
        ({"schema": {"fields": []}, "data": [ROW]}, [ROW]),
        ({"conversation": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "image": "a.png"},
         None),
    ],
)  # fmt: skip
def test_an_object_is_a_row_or_holds_rows(value, rows):
    assert rows_in(value) == ([value] if rows is None else rows)


def test_an_object_with_two_lists_is_refused_by_both_names():
    with pytest.raises(UnclearObjectError, match="`data` or `samples`"):
        rows_in({"data": [ROW], "samples": [OTHER]})


def test_an_element_of_a_list_may_hold_the_questions_about_its_image():
    assert expanded({"image": "a.png", "qas": PAIRS}) == [ROW, OTHER]
    assert expanded(ROW) == [ROW]


def golds(store, tmp_path, files, **options):
    report = store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions(validation_share=0, **options))
    return report, [
        (row.images != (), row.messages[0].content.replace("<image>", ""), row.gold) for row in store.rows("up")
    ]


IMAGES = {f"images/{n}.png": image_bytes(size=(100, 80), color=(n, 1, 1)) for n in range(2)}
COCO = {
    "info": {"description": "d"},
    "images": [{"id": 5, "file_name": "0.png", "width": 100, "height": 80}, {"id": 6, "file_name": "1.png"}],
    "annotations": [{"id": 1, "image_id": 5, "category_id": 3, "bbox": [10, 20.4, 30, 40]}],
    "categories": [{"id": 3, "name": "cup"}],
}


def test_boxes_of_coco_become_an_answer_an_image_by_a_stated_template(store, tmp_path):
    report, [(has_image, question, answer)] = golds(store, tmp_path, IMAGES | {"instances.json": COCO})

    assert has_image
    assert json.loads(answer) == [{"bbox_2d": [10, 20, 40, 60], "label": "cup"}]
    assert any(f"ask: `{question}`" in notice for notice in report.manifest.notices)


def test_the_template_can_be_another(store, tmp_path):
    _, [(_, question, _)] = golds(store, tmp_path, IMAGES | {"instances.json": COCO}, template="Where are cups?")

    assert question == "Where are cups?"


def test_captions_of_coco_are_the_answer_and_its_references(store, tmp_path):
    notes = [{"image_id": 5, "id": n, "caption": text} for n, text in enumerate(["A cup.", "One cup."])]
    golds(store, tmp_path, IMAGES | {"captions.json": COCO | {"annotations": notes}})

    [row] = store.rows("up")
    assert (row.gold, row.references) == ("A cup.", ("One cup.",))


def test_labelme_and_label_studio_are_read(store, tmp_path):
    shapes = [{"label": "cup", "points": [[40, 60], [10, 20]], "shape_type": "rectangle"}]
    task = {
        "id": 1, "data": {"image": "/data/upload/1/0a1b2c3d-1.png"},
        "annotations": [{"result": [{"type": "rectanglelabels", "original_width": 100, "original_height": 80, "value":
                         {"x": 10, "y": 25, "width": 30, "height": 50, "rectanglelabels": ["cup"]}}]}],
    }  # fmt: skip
    labelled = {"version": "5", "shapes": shapes, "imagePath": "images/0.png", "imageData": None}

    _, rows = golds(store, tmp_path, IMAGES | {"0.json": labelled, "tasks.json": [task]})

    assert [json.loads(answer) for _, _, answer in rows] == [
        [{"bbox_2d": [10, 20, 40, 60], "label": "cup"}], [{"bbox_2d": [10, 20, 40, 60], "label": "cup"}]
    ]  # fmt: skip


def test_choices_and_texts_of_label_studio_are_answers(store, tmp_path):
    def task(number, **value):
        return {
            "id": number,
            "data": {"image": f"images/{number}.png", "question": "Q"},
            "annotations": [{"result": [{"value": value}]}],
        }

    _, rows = golds(store, tmp_path, IMAGES | {"tasks.json": [task(0, choices=["cat"]), task(1, text=["a dog"])]})

    assert rows == [(True, "Q", "cat"), (True, "Q", "a dog")]


def test_folders_named_by_classes_are_rows(store, tmp_path):
    files = {f"{part}/{label}/{n}.png": image_bytes(color=(n, len(label), len(part))) for part in ("train", "test")
             for label in ("cat", "big_dog") for n in range(3)}  # fmt: skip
    report, rows = golds(store, tmp_path, files)

    assert {question for _, question, _ in rows} == {"What is shown in the image? Answer with one of: big dog, cat."}
    assert sorted(answer for _, _, answer in rows) == ["big dog"] * 6 + ["cat"] * 6
    assert report.manifest.statistics.test_rows == 6


def test_questions_and_answers_in_two_files_are_joined(store, tmp_path):
    questions = {"questions": [{"image_id": n, "question_id": n + 10, "question": f"Q{n}"} for n in range(2)]}
    answers = {
        "annotations": [
            {"image_id": n, "question_id": n + 10, "answers": [{"answer": "red"}, {"answer": "rot"}, {"answer": "red"}]}
            for n in range(2)
        ]
    }

    report, rows = golds(store, tmp_path, IMAGES | {"v2_questions.json": questions, "v2_annotations.json": answers})

    assert rows == [(True, "Q0", "red"), (True, "Q1", "red")]
    assert any(notice.startswith("2 rows got their question from") for notice in report.manifest.notices)


def test_answers_without_their_questions_are_refused(store, tmp_path):
    answers = [{"image_id": n, "question_id": n, "answers": ["red"]} for n in range(2)]

    with pytest.raises(UploadRefused, match="the id of a question and no question"):
        golds(store, tmp_path, IMAGES | {"annotations.json": answers})


@pytest.mark.parametrize("open_sink", [pa.ipc.new_stream, pa.ipc.new_file])
def test_what_datasets_saves_to_disk_is_read(store, tmp_path, open_sink):
    table = pa.Table.from_pylist([{"question": "Q", "answer": "A"}, {"question": "R", "answer": "B"}])
    sink = io.BytesIO()
    with open_sink(sink, table.schema) as writer:
        writer.write_table(table)
    files = {"train/data-00000-of-00001.arrow": sink.getvalue(), "train/state.json": {"_split": "train"},
             "train/dataset_info.json": {"features": {}}, "dataset_dict.json": {"splits": ["train"]}}  # fmt: skip

    assert [answer for _, _, answer in golds(store, tmp_path, files)[1]] == ["A", "B"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"prompt": "Q", "chosen": "A", "rejected": "B"}], "a preferred and a refused answer"),
        ([{"question_id": 1, "image": "images/0.png", "text": "What is it?"}], "reads like questions"),
    ],
)
def test_rows_that_are_no_answers_are_refused_by_what_they_are(store, tmp_path, rows, said):
    with pytest.raises(UploadRefused, match=said):
        golds(store, tmp_path, IMAGES | {"rows.jsonl": lines_of(rows)})


@pytest.mark.parametrize("role", ["tool", "function_call", "observation"])
def test_calls_of_tools_are_named(store, tmp_path, role):
    turns = [{"from": "human", "value": "Q"}, {"from": role, "value": "x"}, {"from": "gpt", "value": "A"}]

    with pytest.raises(UploadRefused) as caught:
        golds(store, tmp_path, {"rows.json": [{"conversations": turns}]})
    assert [problem.code for problem in caught.value.problems] == ["TOOL_CALL"]


@pytest.mark.parametrize("name", ["a.xml", "labels/a.txt", "a.pkl", "a.pdf", "a.mp4", "a.tfrecord", "a.ipynb"])
def test_files_of_other_kinds_are_named_with_the_way_to_rows(store, tmp_path, name):
    with pytest.raises(UploadRefused, match="`up` holds") as caught:
        golds(store, tmp_path, {name: b"x", "a.png": image_bytes()})
    assert caught.value.code == "NO_ANNOTATION"


def test_a_name_of_the_hub_is_no_folder_and_nothing_is_downloaded(store):
    from pathlib import Path

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(Path("HuggingFaceM4/ChartQA"), ImportOptions())
    assert "hf download HuggingFaceM4/ChartQA" in caught.value.hint


def test_pairs_in_parquet_as_the_cauldron_has_them_are_turns(store, tmp_path):
    texts = [{"user": "Q", "assistant": "A", "source": "s"}, {"user": "R", "assistant": "B", "source": "s"}]
    raw = [{"images": [{"bytes": image_bytes(), "path": None}], "texts": texts}]

    golds(store, tmp_path, {"rows.parquet": parquet_of(raw)})

    [row] = store.rows("up")
    assert [turn.content for turn in row.messages] == ["<image>Q", "A", "R", "B"]
