"""What each metric is called and says, known without the libraries that compute it."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

MetricName = Literal[
    "exact_match",
    "similarity",
    "vqa_accuracy",
    "anls",
    "relaxed_accuracy",
    "multiple_choice",
    "yes_no",
    "yes_no_f1",
    "box_iou",
    "box_accuracy_50",
    "cer",
    "wer",
    "json_field_f1",
    "bleu",
    "rouge_l",
    "cider",
]

LEAST_CAPTION_ROWS = 20  # with fewer, CIDEr cannot tell rare words from common ones
LEAST_VQA_ANSWERS = 4


class Facts(NamedTuple):
    """What a page shows beside a metric's number."""

    label: str
    says: str
    is_share: bool = True  # shown in per cent
    is_lower_better: bool = False


FACTS: Mapping[str, Facts] = {
    "exact_match": Facts(
        "Exact match", "Answers that equal the gold one, apart from case, white space and a final full stop"
    ),
    "similarity": Facts("Similarity", "1 minus the edits between the answers over the longer one's length"),
    "vqa_accuracy": Facts("VQA accuracy", "How many people would have answered so; three or more make a full score"),
    "anls": Facts("ANLS", "Similarity of read text, 0 where it is below a half"),
    "relaxed_accuracy": Facts("Relaxed accuracy", "Numbers within 5 % of the gold one, other answers equal to it"),
    "multiple_choice": Facts("Multiple choice", "Answers that settle on the gold letter"),
    "yes_no": Facts("Yes or no", "Answers that say yes or no as the gold one does"),
    "yes_no_f1": Facts("F1 of yes", "Precision and recall of yes in one number; always saying yes does not pay"),
    "box_iou": Facts("Box overlap (IoU)", "Shared over joint area of given and gold boxes"),
    "box_accuracy_50": Facts("Boxes found", "Gold boxes met by a box that shares half of their joint area or more"),
    "cer": Facts("Character error rate", "Edits per 100 characters of the gold text; may pass 100", True, True),
    "wer": Facts("Word error rate", "Edits per 100 words of the gold text; may pass 100", True, True),
    "json_field_f1": Facts(
        "JSON fields (F1)", "Fields of the gold object that are given right, against missed and extra"
    ),
    "bleu": Facts("BLEU-4", "Runs of one to four words shared with the gold text, over all rows together"),
    "rouge_l": Facts("ROUGE-L", "The longest common sequence of words, gaps allowed"),
    "cider": Facts("CIDEr-D", "Likeness to several people's captions, rare words weighing more; 0 to 10", False),
}


def notice(name: str, rows: int, answers_per_row: float) -> str | None:
    """Say where a metric's number means little for so many rows with so many accepted answers each; None if it does.

    Args:
        name: of the metric.
        rows: how many it is computed over.
        answers_per_row: accepted answers, the gold one counted, on average.
    """
    if name == "cider" and rows < LEAST_CAPTION_ROWS:
        return f"CIDEr learns from the captions which words are rare; {rows} rows are too few for that"
    if name == "cider" and answers_per_row < 2:
        return "CIDEr is meant for several captions per image; with one, read it only to compare models on these rows"
    if name == "vqa_accuracy" and answers_per_row < LEAST_VQA_ANSWERS:
        return "VQA accuracy needs four accepted answers; where there are fewer, an answer is right if it equals one"
    return None
