"""Every metric by its name. Imports what they need, so the web process asks `names` instead."""

from collections.abc import Mapping

from backend.metrics.boxes import BOX_ACCURACY_50, BOX_IOU
from backend.metrics.captions import BLEU, CIDER, ROUGE_L
from backend.metrics.choices import MULTIPLE_CHOICE, YES_NO, YES_NO_F1
from backend.metrics.edit_distance import ANLS, CER, WER
from backend.metrics.exact_match import EXACT_MATCH, SIMILARITY
from backend.metrics.json_fields import JSON_FIELD_F1
from backend.metrics.metric import Metric
from backend.metrics.relaxed_accuracy import RELAXED_ACCURACY
from backend.metrics.vqa_accuracy import VQA_ACCURACY

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
