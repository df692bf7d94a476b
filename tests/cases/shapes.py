"""One small upload in the layout of each public set or tool, and what must come of it.

The layouts are facts, written down from the sets' own pages; the contents are made up. `tests/cases/test_shapes.py`
imports each, and `static/docs/data.md` lists them.
"""

import json
from typing import Any, NamedTuple

IMAGE = "<image>"


class Shape(NamedTuple):
    """An upload and its outcome."""

    name: str  # of the set or tool, as people call it
    files: dict[str, Any]  # beside three images `img/0.png` to `img/2.png`; a value is a text or JSON
    rows: tuple[tuple[str, str], ...] = ()  # question and answer of the first rows; () where it is refused
    refused: str = ""  # a part of the words, of the refusal or of its first problem
    parts: tuple[int, int, int] | None = None  # rows for training, validation and test
    told: str = ""  # a part of a notice or of a problem


def _lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _llava(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


BOX = '[{"bbox_2d": [10, 20, 40, 60], "label": "cup"}]'
DETECT = (
    "<image>Find all objects in the image. Answer with a JSON list that gives the `bbox_2d` and the `label` of each."
)
SHAPES = (
    Shape(
        "LLaVA-Instruct",
        {"a.json": [{"id": "1", "image": "img/0.png", "conversations": _llava("<image>\nQ", "A")}]},
        (("<image>Q", "A"),),
    ),
    Shape(
        "LLaVA 665k, with rows of text alone",
        {
            "a.json": [
                {"id": "1", "image": "img/0.png", "conversations": _llava("<image>\nQ", "A")},
                {"id": "2", "conversations": _llava("Say hi", "Hi")},
            ]
        },
        (("<image>Q", "A"), ("Say hi", "Hi")),
        told="names no image",
    ),
    Shape(
        "ShareGPT4V",
        {"a.json": [{"id": "x", "image": "coco/img/0.png", "conversations": _llava("Q\n<image>", "A")}]},
        (("Q<image>", "A"),),
        told="matched by the ending",
    ),
    Shape(
        "LLaVA-Bench questions",
        {"q.jsonl": _lines({"question_id": 0, "image": "img/0.png", "text": "Describe it.", "category": "d"})},
        refused="reads like questions",
    ),
    Shape(
        "POPE",
        {"coco_pope.json": _lines({"question_id": 1, "image": "0.png", "text": "Is there a cup?", "label": "no"})},
        (("<image>Is there a cup?", "no"),),
    ),
    Shape(
        "VQA v2",
        {
            "v2_questions.json": {"questions": [{"image_id": 0, "question": "Q?", "question_id": 9}]},
            "v2_annotations.json": {
                "annotations": [{"image_id": 0, "question_id": 9, "answers": [{"answer": "red"}, {"answer": "red"}]}]
            },
        },
        (("<image>Q?", "red"),),
        told="got their question",
    ),
    Shape(
        "OK-VQA answers alone",
        {"annotations.json": {"annotations": [{"image_id": 0, "question_id": 9, "answers": [{"answer": "red"}]}]}},
        refused="id of a question",
    ),
    Shape(
        "TextVQA",
        {
            "TextVQA_0.5.1_train.json": {
                "dataset_type": "train",
                "data": [{"image_id": "0", "question": "Q?", "answers": ["nokia", "nokia", "nokla"]}],
            }
        },
        (("<image>Q?", "nokia"),),
    ),
    Shape(
        "DocVQA",
        {
            "train_v1.0.json": {
                "dataset_name": "docvqa",
                "data": [{"questionId": 1, "question": "Q?", "image": "img/0.png", "answers": ["12.50", "$12.50"]}],
            }
        },
        (("<image>Q?", "12.50"),),
    ),
    Shape("ChartQA", {"train.json": [{"imgname": "0.png", "query": "Q?", "label": "14"}]}, (("<image>Q?", "14"),)),
    Shape(
        "ScienceQA problems.json",
        {
            "problems.json": {
                "7": {"question": "Q?", "choices": ["wheel", "door"], "answer": 0, "image": "img/0.png"},
                "9": {"question": "R?", "choices": ["a cup", "a hat"], "answer": 1, "image": "img/1.png"},
            }
        },
        (("<image>Q?\nA. wheel\nB. door", "A"), ("<image>R?\nA. a cup\nB. a hat", "B")),
    ),
    Shape(
        "A-OKVQA",
        {
            "a.json": [
                {
                    "image_id": 0,
                    "question_id": "k",
                    "question": "Q?",
                    "choices": ["cup", "hat"],
                    "correct_choice_idx": 0,
                    "direct_answers": ["cup"],
                    "answer": "cup",
                }
            ]
        },
        (("<image>Q?\nA. cup\nB. hat", "cup"),),
    ),
    Shape(
        "MMBench TSV",
        {"dev.tsv": "index\tquestion\tA\tB\tC\tanswer\timage_path\n1\tQ?\twheel\tdoor\troof\tB\timg/0.png\n"},
        (("<image>Q?\nA. wheel\nB. door\nC. roof", "B"),),
    ),
    Shape(
        "MMMU",
        {
            "a.json": [
                {
                    "question": "Compare <image 1> and <image 2>",
                    "options": "['same', 'other']",
                    "answer": "A",
                    "image_1": "img/0.png",
                    "image_2": "img/1.png",
                }
            ]
        },
        (("Compare<image>and<image>A. same\nB. other", "A"),),
    ),
    Shape(
        "SEED-Bench",
        {
            "a.json": {
                "questions": [
                    {"question": "Q?", "choice_a": "cup", "choice_b": "hat", "answer": "A", "data_id": "img/0.png"}
                ]
            }
        },
        (("<image>Q?\nA. cup\nB. hat", "A"),),
    ),
    Shape(
        "ARC-like choices",
        {
            "a.json": [
                {
                    "image": "img/0.png",
                    "question": "Q?",
                    "choices": {"text": ["cup", "hat"], "label": ["A", "B"]},
                    "answer": "B",
                }
            ]
        },
        (("<image>Q?\nA. cup\nB. hat", "B"),),
    ),
    Shape(
        "SLAKE",
        {"train.json": [{"img_id": 0, "img_name": "img/0.png", "question": "Q?", "answer": "liver", "q_lang": "en"}]},
        (("<image>Q?", "liver"),),
    ),
    Shape("PathVQA in one folder", {"a.csv": "image,question,answer\n0.png,Q?,yes\n"}, (("<image>Q?", "yes"),)),
    Shape(
        "RefCOCO with testA and testB",
        {
            "refs.json": [
                {"image": f"img/{n}.png", "question": f"Box {n}", "answer": "[1, 2, 9, 9]", "split": part}
                for n, part in enumerate(["train", "val", "testA"])
            ]
        },
        parts=(1, 1, 1),
        rows=(("<image>Box 0", "[1, 2, 9, 9]"),),
    ),
    Shape(
        "COCO detection",
        {
            "instances_train.json": {
                "images": [{"id": 1, "file_name": "0.png"}],
                "categories": [{"id": 3, "name": "cup"}],
                "annotations": [{"image_id": 1, "category_id": 3, "bbox": [10, 20, 30, 40]}],
            }
        },
        ((DETECT, BOX),),
        told="made of annotations ask",
    ),
    Shape(
        "COCO captions",
        {
            "captions.json": {
                "images": [{"id": 1, "file_name": "0.png"}],
                "annotations": [{"image_id": 1, "id": 1, "caption": "A cup."}],
            }
        },
        ((IMAGE, "A cup."),),
    ),
    Shape(
        "Flickr30k captions",
        {"results.csv": "image_name| comment_number| comment\n0.png| 0| A cup.\n"},
        refused="no known layout",
    ),
    Shape(
        "LabelMe",
        {
            "0.json": {
                "version": "5.4",
                "shapes": [{"label": "cup", "points": [[10, 20], [40, 60]]}],
                "imagePath": "img/0.png",
            }
        },
        ((DETECT, BOX),),
    ),
    Shape(
        "Label Studio JSON",
        {
            "p.json": [
                {
                    "id": 1,
                    "data": {"image": "/data/upload/2/0a1b2c3d-0.png"},
                    "annotations": [{"result": [{"value": {"choices": ["cat"]}}]}],
                }
            ]
        },
        ((IMAGE, "cat"),),
    ),
    Shape(
        "Label Studio CSV",
        {"p.csv": "id,image,question,answer\n1,/data/local-files/?d=img/0.png,Q?,A\n"},
        (("<image>Q?", "A"),),
    ),
    Shape(
        "The Cauldron",
        {"a.jsonl": _lines({"images": ["img/0.png"], "texts": [{"user": "Q", "assistant": "A", "source": "s"}]})},
        (("<image>Q", "A"),),
    ),
    Shape(
        "OpenAI fine-tuning",
        {
            "a.jsonl": _lines(
                {
                    "messages": [
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "Q"},
                                {"type": "image_url", "image_url": {"url": "img/0.png"}},
                            ],
                        },
                        {"role": "assistant", "content": "A"},
                    ]
                }
            )
        },
        (("Q<image>", "A"),),
    ),
    Shape(
        "ms-swift",
        {"a.jsonl": _lines({"query": "<image>Q", "response": "A", "images": ["img/0.png"], "history": [["H", "I"]]})},
        told="",
        rows=(("H", "A"),),
    ),
    Shape(
        "Qwen-VL tags",
        {"a.json": [{"id": "1", "conversations": _llava("Picture 1: <img>img/0.png</img>\nQ", "A")}]},
        (("Picture 1:<image>Q", "A"),),
    ),
    Shape(
        "InternVL with numbered marks",
        {
            "a.jsonl": _lines(
                {"image": ["img/0.png", "img/1.png"], "conversations": _llava("<image1> or <image2>?", "A")}
            )
        },
        (("<image>or<image>?", "A"),),
    ),
    Shape(
        "Alpaca with a number",
        {"a.json": [{"instruction": "Add ten", "input": 5, "output": "15", "image": "img/0.png"}]},
        (("<image>Add ten\n5", "15"),),
    ),
    Shape(
        "Dolly",
        {
            "a.jsonl": _lines(
                {"instruction": "Sum up", "context": "A long text.", "response": "Text.", "image": "img/0.png"}
            )
        },
        (("<image>Sum up\nA long text.", "Text."),),
    ),
    Shape(
        "TRL GRPO",
        {
            "a.jsonl": _lines(
                {"prompt": [{"role": "user", "content": "Count"}], "image": "img/0.png", "solution": "3", "level": 2}
            )
        },
        (("<image>Count", "3"),),
        told="`level`",
    ),
    Shape(
        "verl / EasyR1",
        {
            "a.json": [
                {
                    "prompt": [{"role": "user", "content": "<image>Count"}],
                    "images": ["img/0.png"],
                    "reward_model": {"ground_truth": "3", "style": "rule"},
                }
            ]
        },
        (("<image>Count", "3"),),
    ),
    Shape(
        "R1-V",
        {"a.jsonl": _lines({"image": "img/0.png", "problem": "Count", "solution": "<answer>3</answer>"})},
        (("<image>Count", "<answer>3</answer>"),),
    ),
    Shape(
        "VLM-R1 boxes",
        {"a.jsonl": _lines({"image": "img/0.png", "problem": "Find", "solution": [1, 2, 30, 40]})},
        (("<image>Find", "[1, 2, 30, 40]"),),
    ),
    Shape(
        "Preference pairs",
        {"a.jsonl": _lines({"image": "img/0.png", "prompt": "Q", "chosen": "A", "rejected": "B"})},
        refused="preferred and a refused",
    ),
    Shape(
        "Tool calls",
        {"a.json": [{"conversations": [{"from": "human", "value": "Q"}, {"from": "function_call", "value": "{}"}]}]},
        refused="call of a tool",
    ),
    Shape(
        "PaliGemma / Roboflow",
        {"a.jsonl": _lines({"image": "img/0.png", "prefix": "detect cup", "suffix": "<loc0100> cup"})},
        (("<image>detect cup", "<loc0100> cup"),),
    ),
    Shape(
        "Donut / CORD",
        {"metadata.jsonl": _lines({"file_name": "img/0.png", "ground_truth": '{"gt_parse": {"total": "1.50"}}'})},
        ((IMAGE, '{"gt_parse": {"total": "1.50"}}'),),
    ),
    Shape("Hugging Face ImageFolder metadata", {"metadata.csv": "file_name,label\nimg/0.png,cat\n"}, ((IMAGE, "cat"),)),
    Shape(
        "SQuAD-like answers",
        {
            "a.json": [
                {"image": "img/0.png", "question": "Q?", "answers": {"text": ["two", "2"], "answer_start": [0, 4]}}
            ]
        },
        (("<image>Q?", "two"),),
    ),
    Shape(
        "pandas to_json(orient='columns')",
        {"a.json": {"image": {"0": "img/0.png"}, "question": {"0": "Q?"}, "answer": {"0": "A"}}},
        (("<image>Q?", "A"),),
    ),
    Shape(
        "pandas to_json(orient='split')",
        {"a.json": {"columns": ["image", "question", "answer"], "index": [0], "data": [["img/0.png", "Q?", "A"]]}},
        (("<image>Q?", "A"),),
    ),
    Shape(
        "a list as pandas prints it",
        {"a.csv": "images,question,answer\n\"['img/0.png', 'img/1.png']\",Q?,A\n"},
        (("<image><image>Q?", "A"),),
    ),
    Shape(
        "conversations as pandas prints them",
        {
            "a.csv": "image,conversations\nimg/0.png,"
            "\"[{'from': 'human', 'value': 'Q'}, {'from': 'gpt', 'value': 'A'}]\"\n"
        },
        (("<image>Q", "A"),),
    ),
    Shape(
        "one file a picture",
        {
            "0.json": {
                "image": "img/0.png",
                "qa_pairs": [{"question": "Q?", "answer": "A"}, {"question": "R?", "answer": "B"}],
            }
        },
        (("<image>Q?", "A"), ("<image>R?", "B")),
    ),
    Shape(
        "lists by part",
        {
            "all.json": {
                "train": [{"image": "img/0.png", "question": "Q?", "answer": "A"}],
                "test": [{"image": "img/1.png", "question": "R?", "answer": "B"}],
            }
        },
        (("<image>Q?", "A"),),
        parts=(1, 0, 1),
    ),
    Shape(
        "Excel for Windows in German",
        {"a.csv": "sep=;\nBild;Frage;Antwort\nimg/0.png;Was?;Rot\n"},
        (("<image>Was?", "Rot"),),
    ),
    Shape(
        "addresses only",
        {"a.csv": "image_url,question,answer\nhttps://host.example/x/9.png,Q?,A\n"},
        refused="nothing is downloaded",
    ),
    Shape(
        "unknown columns of sentences",
        {"a.csv": "shot,words,label\nimg/0.png,what do you see on this one,cup\n"},
        refused="may be `words`",
    ),
    Shape("Video-LLaVA", {"a.json": [{"video": "v.mp4", "conversations": _llava("<video>Q", "A")}]}, refused="video"),
    Shape("Pascal VOC", {"Annotations/0.xml": "<annotation/>"}, refused="Pascal VOC"),
    Shape("YOLO", {"labels/0.txt": "0 0.5 0.5 0.1 0.1"}, refused="YOLO"),
)
