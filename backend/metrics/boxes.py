"""Compare boxes: how far the given ones cover the gold ones."""

import json
import math
import re
from typing import Any, NamedTuple

from backend.metrics.metric import MetricInput, averaged

HIT = 0.5  # of the joint area
BOX_KEYS = ("bbox_2d", "bbox")  # Qwen2.5-VL names boxes `bbox_2d`
_FENCED = re.compile(r"\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*", re.DOTALL)


class Box(NamedTuple):
    """A box in pixels, or whatever unit both answers use."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def area(self) -> float:
        """Its surface; 0 for a line or a point."""
        return (self.right - self.left) * (self.bottom - self.top)


def boxes_of(text: str) -> list[Box]:
    """Read `[left, top, right, bottom]`, an object with `bbox_2d`, or a list of either; [] where a text is no such.

    A code fence around it is allowed. One malformed box makes the whole text unreadable.
    """
    fenced = _FENCED.fullmatch(text)
    try:
        content = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return []
    alone = _box(content)
    if alone is not None:
        return [alone]
    boxes = [_box(entry) for entry in content] if isinstance(content, list) else []
    return [] if None in boxes else [box for box in boxes if box is not None]


def overlap(one: Box, other: Box) -> float:
    """Shared area over joint area; 0 where both are without area."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    shared = max(0.0, width) * max(0.0, height)
    joint = one.area + other.area - shared
    return shared / joint if joint > 0 and math.isfinite(joint) else 0.0


def box_iou(gold: str, prediction: str) -> float | None:
    """Give shared area over joint area; None where the gold answer is no box, 0 where the given one is none.

    Of several boxes the best pairs are taken first, each box once, and the sum is divided by the number of gold boxes
    or of given ones, whichever are more, so that naming many boxes does not pay. This is what the ready reward
    `box_iou` pays. Source: Everingham et al., The PASCAL VOC challenge (2010), section 4.2; for one pair
    torchvision.ops.box_iou.
    """
    return _averaged(gold, prediction, lambda shared: shared)


def box_accuracy_50(gold: str, prediction: str) -> float | None:
    """1 where gold and given box share at least half of their joint area, else 0; None where the gold is no box.

    Of several boxes it is the number of pairs that do, paired and divided as in `box_iou`. Source: the "Acc@0.5" of
    RefCOCO, Yu et al., Modeling Context in Referring Expressions (2016).
    """
    return _averaged(gold, prediction, lambda shared: float(shared >= HIT))


def is_box_unread(row: MetricInput) -> bool:
    """Whether the gold answer is a box and the given one is none."""
    return bool(boxes_of(row.gold)) and not boxes_of(row.prediction)


BOX_IOU = averaged(
    "box_iou",
    lambda row: _best(row, box_iou),
    is_box_unread,
    label="Box overlap (IoU)",
    description="Shared over joint area of given and gold boxes",
    suits={"boxes": 0},
)
BOX_ACCURACY_50 = averaged(
    "box_accuracy_50",
    lambda row: _best(row, box_accuracy_50),
    is_box_unread,
    label="Boxes found",
    description="Gold boxes met by a box that shares half of their joint area or more",
    suits={"boxes": 1},
)


def _best(row: MetricInput, score: Any) -> float | None:
    scores = [score(gold, row.prediction) for gold in row.golds]
    return None if scores[0] is None else max(one for one in scores if one is not None)


def _averaged(gold: str, prediction: str, worth: Any) -> float | None:
    gold_boxes = boxes_of(gold)
    if not gold_boxes:
        return None
    predicted_boxes = boxes_of(prediction)
    return float(sum(map(worth, _paired(gold_boxes, predicted_boxes))) / max(len(gold_boxes), len(predicted_boxes)))


def _paired(gold_boxes: list[Box], predicted_boxes: list[Box]) -> list[float]:
    """The overlaps of the pairs, best first, each box in at most one of them."""
    pairs = ((overlap(a, b), i, j) for i, a in enumerate(gold_boxes) for j, b in enumerate(predicted_boxes))
    paired: list[float] = []
    taken_gold: set[int] = set()
    taken_predicted: set[int] = set()
    for shared, i, j in sorted((pair for pair in pairs if pair[0] > 0), reverse=True):
        if i not in taken_gold and j not in taken_predicted:
            paired.append(shared)
            taken_gold.add(i)
            taken_predicted.add(j)
    return paired


def _box(content: Any) -> Box | None:
    if isinstance(content, dict):
        return _box(next((content[key] for key in BOX_KEYS if key in content), None))
    if not isinstance(content, list) or len(content) != 4 or any(isinstance(side, bool) for side in content):
        return None
    try:
        left, top, right, bottom = (float(side) for side in content)
    except (TypeError, ValueError, OverflowError):
        return None
    is_box = all(map(math.isfinite, (left, top, right, bottom))) and left <= right and top <= bottom
    return Box(left, top, right, bottom) if is_box else None
