"""Formats of other tools, by what is in them: read as questions and answers by a stated template, or named.

A format that is read is a function from an object to rows with ordinary fields (`image`, `question`, `answer`,
`references`), and stands in `READERS`; one that is not is a line of `FOREIGN_FILES`, with the way to get there.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import Any

from backend.datasets.split_names import split_of_folder

DETECT = "Find all objects in the image. Answer with a JSON list that gives the `bbox_2d` and the `label` of each."
CLASSIFY = "What is shown in the image? Answer with one of: {classes}."
MAX_CLASSES = 200  # in one question
Content = dict[str, Any]
ROWS = "and write a .jsonl with a row for each"
FOREIGN_FILES = {  # by their ending, where an upload holds no rows: what they are, and the way to rows
    ".xml": ("XML annotations, such as those of Pascal VOC or CVAT", "Export them as COCO JSON, for example with CVAT"),
    ".txt": ("text files, such as labels of YOLO", "Export them as COCO JSON, or write a .jsonl with a row for each"),
    ".tar": ("a tar archive, such as shards of WebDataset", f"Unpack it, {ROWS} image"),
    ".tfrecord": ("TFRecord files", f"Read them where they were made, {ROWS} example"),
    ".pkl": ("a pickle, which may run any program and is never opened", "Save it as .jsonl where it was made"),
    ".pt": ("tensors of PyTorch", f"Read them where they were made, {ROWS} example"),
    ".npy": ("arrays of numpy", f"Save images as PNG, {ROWS}"),
    ".pdf": ("PDF documents", f"Save their pages as images, {ROWS}"),
    ".docx": ("Word documents", "Copy questions and answers into a table (.xlsx or .csv)"),
    ".ipynb": ("a notebook", "Let it write its rows into a .jsonl"),
    ".mp4": ("videos, and only images are learned from", f"Save frames as images, {ROWS}"),
    ".mov": ("videos, and only images are learned from", f"Save frames as images, {ROWS}"),
    ".wav": ("sound, and only images are learned from", "Choose data with images or texts"),
    ".mp3": ("sound, and only images are learned from", "Choose data with images or texts"),
}


def rows_of_format(value: Content) -> list[Content]:
    """Read an object that is a file, or an element of a list, of a known format; [] where it is of none."""
    return next((read(value) for recognise, read in READERS if recognise(value)), [])


def is_template(question: str) -> bool:
    """Tell whether a question is one that rows of a format were given."""
    return question == DETECT or question.startswith(CLASSIFY.partition("{")[0])


def foreign(names: Sequence[str]) -> tuple[str, str] | None:
    """What the files of an upload without rows are, and what to do; None where nothing is known of them."""
    for name in names:
        known = FOREIGN_FILES.get(PurePosixPath(name).suffix.lower())
        if known is not None:
            return known
    return None


def class_folder_rows(names: Sequence[str]) -> list[Content]:
    """Rows of images that lie in folders named by their classes, with folders of parts above them or not.

    Args:
        names: of all images of the upload.

    Returns:
        [] where there are not at least two such folders, and every image in one.
    """
    classes: dict[str, str] = {}
    splits: dict[str, str] = {}
    for name in names:
        folders = PurePosixPath(name).parts[:-1]
        named = [folder for folder in folders if not split_of_folder(folder)]
        if not named or (folders and split_of_folder(folders[-1])):
            return []
        classes[name] = named[-1]
        part = next(filter(None, map(split_of_folder, folders)), None)
        splits |= {name: part} if part else {}
    known = sorted(set(classes.values()))
    if not 2 <= len(known) <= MAX_CLASSES:
        return []
    question = CLASSIFY.format(classes=", ".join(label.replace("_", " ") for label in known))
    return [
        {"image": name, "question": question, "answer": label.replace("_", " ")}
        | ({"split": splits[name]} if name in splits else {})
        for name, label in classes.items()
    ]


def _is_coco(value: Content) -> bool:
    images, notes = value.get("images"), value.get("annotations")
    return _are_objects(images, {"id", "file_name"}) and _are_objects(notes, {"image_id"})


def _coco(value: Content) -> list[Content]:
    """A row an image: all its boxes with their labels, or its captions, of which the first is the answer."""
    labels = {each.get("id"): each.get("name", "") for each in value.get("categories") or [] if isinstance(each, dict)}
    captions, boxes = defaultdict(list), defaultdict(list)
    for note in value["annotations"]:
        if isinstance(note.get("caption"), str):
            captions[note["image_id"]].append(note["caption"])
        elif _is_box(note.get("bbox")):
            left, top, width, height = note["bbox"]
            label = labels.get(note.get("category_id"), "")
            boxes[note["image_id"]].append(_labelled(label, left, top, left + width, top + height))
    rows = []
    for image in value["images"]:
        row = {"image": image["file_name"]}
        if texts := captions.get(image["id"]):
            rows.append(row | {"answer": texts[0], "references": texts[1:]})
        elif found := boxes.get(image["id"]):
            rows.append(row | {"question": DETECT, "answer": _as_answer(found)})
    return rows


def _is_labelme(value: Content) -> bool:
    return isinstance(value.get("shapes"), list) and isinstance(value.get("imagePath"), str)


def _labelme(value: Content) -> list[Content]:
    """One row: the box around each shape, with its label."""
    boxes = []
    for shape in value["shapes"]:
        points = shape.get("points") or []
        if points and all(isinstance(point, list) and len(point) == 2 for point in points):
            across, down = zip(*points, strict=True)
            boxes.append(_labelled(str(shape.get("label", "")), min(across), min(down), max(across), max(down)))
    return [{"image": value["imagePath"], "question": DETECT, "answer": _as_answer(boxes)}] if boxes else []


def _is_label_studio(value: Content) -> bool:
    notes = value.get("annotations")
    return (
        isinstance(value.get("data"), dict)
        and isinstance(notes, list)
        and all(isinstance(note, dict) and "result" in note for note in notes)
    )


def _label_studio(value: Content) -> list[Content]:
    """One row a task: the chosen label, the text that was written, or the boxes in pixels of the image."""
    data = value["data"]
    image = next((data[name] for name in ("image", "img", "url", "captioning") if isinstance(data.get(name), str)), "")
    texts, boxes = [], []
    for note in value["annotations"][:1]:
        for result in note["result"]:
            given = result.get("value") or {}
            texts += [text for name in ("choices", "text") for text in _as_list(given.get(name))]
            label = next(iter(_as_list(given.get("rectanglelabels"))), "")
            if label and {"x", "y", "width", "height"} <= given.keys():
                across, down = result.get("original_width", 0) / 100, result.get("original_height", 0) / 100
                left, top = given["x"] * across, given["y"] * down
                boxes.append(_labelled(label, left, top, left + given["width"] * across, top + given["height"] * down))
    question = next((data[name] for name in ("question", "prompt", "text") if isinstance(data.get(name), str)), "")
    row = {"id": str(value.get("id", "")), "image": image}
    if boxes:
        return [row | {"question": question or DETECT, "answer": _as_answer(boxes)}]
    return [row | {"question": question, "answer": ", ".join(map(str, texts))}] if texts else []


READERS: tuple[tuple[Callable[[Content], bool], Callable[[Content], list[Content]]], ...] = (
    (_is_coco, _coco),
    (_is_labelme, _labelme),
    (_is_label_studio, _label_studio),
)


def _are_objects(value: Any, fields: set[str]) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict) and fields <= value[0].keys()


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(isinstance(side, int | float) for side in value)


def _labelled(label: str, left: float, top: float, right: float, bottom: float) -> Content:
    return {"bbox_2d": [round(side) for side in (left, top, right, bottom)], "label": label}


def _as_answer(boxes: list[Content]) -> str:
    return json.dumps(boxes, ensure_ascii=False)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
