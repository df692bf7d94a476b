"""Every metric by its name. Imports what they need, so the web process asks `names` instead."""

from collections.abc import Mapping

from backend.metrics.answers import EXACT_MATCH, SIMILARITY
from backend.metrics.bleu import BLEU
from backend.metrics.choices import MULTIPLE_CHOICE
from backend.metrics.cider import CIDER
from backend.metrics.edits import ANLS, CER, WER
from backend.metrics.grounding import BOX_ACCURACY_50, BOX_IOU
from backend.metrics.json_fields import JSON_FIELD_F1
from backend.metrics.metric import Metric
from backend.metrics.relaxed import RELAXED_ACCURACY
from backend.metrics.rouge import ROUGE_L
from backend.metrics.vqa import VQA_ACCURACY
from backend.metrics.yes_no import YES_NO, YES_NO_F1

METRICS: Mapping[str, Metric] = {
    "exact_match": EXACT_MATCH,
    "similarity": SIMILARITY,
    "vqa_accuracy": VQA_ACCURACY,
    "anls": ANLS,
    "relaxed_accuracy": RELAXED_ACCURACY,
    "multiple_choice": MULTIPLE_CHOICE,
    "yes_no": YES_NO,
    "yes_no_f1": YES_NO_F1,
    "box_iou": BOX_IOU,
    "box_accuracy_50": BOX_ACCURACY_50,
    "cer": CER,
    "wer": WER,
    "json_field_f1": JSON_FIELD_F1,
    "bleu": BLEU,
    "rouge_l": ROUGE_L,
    "cider": CIDER,
}
