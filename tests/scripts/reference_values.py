"""Score cases by a metric's reference implementation. Run by `metric_tables` in another environment, by its path.

Reads one JSON object from standard input and prints one JSON list: a value per case, of a group the same for all, but
for CIDEr, which scores each row of a group.
"""

import ast
import json
import math
import re
import sys
from pathlib import Path


def vqa_accuracy(rows, kits):
    kit = functions(kits, "vlmeval/dataset/utils/vqa_eval.py", "vlmeval/smp")
    return [average(line["match"]) for line in lines(kit, rows, "vqa_score")]


def anls(rows, kits):
    kit = functions(kits, "vlmeval/dataset/utils/vqa_eval.py", "vlmeval/smp")
    scores = [1 - min(line["match"]) for line in lines(kit, rows, "anls")]
    return [0.0 if score < 0.5 else score for score in scores]  # as its `hit_calculate`


def anls_package(rows, kits):
    from anls import anls_score

    return [anls_score(prediction=given, gold_labels=golds, threshold=0.5) for golds, given in rows]


def relaxed_accuracy(rows, kits):
    kit = functions(kits, "lmms_eval/tasks/chartqa/utils.py")
    return [max(float(kit["relaxed_correctness"](given, gold)) for gold in golds) for golds, given in rows]


def box_iou(rows, kits):
    import torch
    from torchvision.ops import box_iou

    def box(text):
        return torch.tensor([json.loads(text)], dtype=torch.float64)

    return [box_iou(box(golds[0]), box(given)).item() for golds, given in rows]


def yes_no_f1(rows, kits):
    from sklearn.metrics import f1_score

    value = f1_score([golds[0] for golds, _ in rows], [given for _, given in rows], pos_label="yes")
    return [float(value)] * len(rows)


def cer(rows, kits):
    import jiwer

    return [jiwer.cer(golds[0], given) for golds, given in rows]


def wer(rows, kits):
    import jiwer

    return [jiwer.wer(golds[0], given) for golds, given in rows]


def bleu(rows, kits):
    import sacrebleu

    return [
        sacrebleu.corpus_bleu(
            [given], [[gold] for gold in golds], tokenize="zh" if any(map(is_wide, golds)) else "13a"
        ).score / 100
        for golds, given in rows
    ]  # fmt: skip


def rouge_l(rows, kits):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rougeL"])
    return [scorer.score_multi(golds, given)["rougeL"].fmeasure for golds, given in rows]


def cider(rows, kits):
    from pycocoevalcap.cider.cider import Cider

    def split(text):
        return " ".join(re.findall("[a-z0-9]+", text.lower()))

    golds = {place: [split(gold) for gold in row[0]] for place, row in enumerate(rows)}
    given = {place: [split(row[1])] for place, row in enumerate(rows)}
    return [float(score) for score in Cider().compute_score(golds, given)[1]]


def lines(kit, rows, method):
    return [kit["process_line"]({"answer": repr(golds), "prediction": given}, method) for golds, given in rows]


def is_wide(text):
    return re.search("[\u4e00-\u9fff]", text) is not None


def average(scores):
    return sum(scores) / len(scores)


def functions(kits, *places):
    """The functions of files or folders of a kit, without what its imports would bring along."""
    import typing

    known = {"re": re, "math": math, "Optional": typing.Optional}
    for place in places:
        path = Path(kits) / place
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and node.name not in known and not node.decorator_list:
                    node.returns = None
                    for argument in node.args.args + node.args.kwonlyargs:
                        argument.annotation = None
                    try:
                        exec(compile(ast.Module([node], []), str(file), "exec"), known)
                    except Exception as error:  # noqa: BLE001 - a default that needs an import; not one of ours
                        print(f"{file.name}: {node.name}: {error}", file=sys.stderr)
    return known


def main():
    request = json.load(sys.stdin)
    cases, size = request["cases"], request["group"]
    score = globals()[request["table"]]
    groups = [cases] if size == 1 else [cases[at : at + size] for at in range(0, len(cases), size)]
    values = [value for group in groups for value in score(group, request["kits"])]
    print(json.dumps([round(value, 12) for value in values]))


if __name__ == "__main__":
    main()
