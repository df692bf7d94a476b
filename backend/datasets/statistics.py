"""What a dataset holds, in numbers: rows, pictures, and tokens as the default settings would count them."""

import math
import re
from array import array
from collections import Counter
from collections.abc import Sequence

from backend.conversation import Row
from backend.datasets.pictures import PictureOutcome
from backend.datasets.records import Statistics
from backend.spec.inputs import ModelKnobs
from backend.vision_tokens import tokens_for_picture

MAX_ANSWERS = 10
MAX_ANSWER_SHOWN = 80
TURN_TOKENS = 5  # <|im_start|>, role, newline, <|im_end|>, newline
PICTURE_MARK_TOKENS = 2  # <|vision_start|> and <|vision_end|>
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")  # CJK
_DIGIT = re.compile(r"\d")


class Tally:
    """Adds up rows one by one."""

    def __init__(self) -> None:
        self._bounds = ModelKnobs().min_pixels, ModelKnobs().max_pixels
        self._splits: Counter[str] = Counter()
        self._turns = 0
        self._visual, self._text = array("q"), array("q")
        self._answers: Counter[str] = Counter()
        self._pictures: dict[str, PictureOutcome] = {}

    def add(self, row: Row, pictures: Sequence[PictureOutcome]) -> None:
        """Count a row that is kept, with its pictures in order."""
        self._splits[row.split] += 1
        self._turns += sum(message.role != "system" for message in row.messages)
        self._visual.append(sum(tokens_for_picture(p.height, p.width, *self._bounds) for p in pictures))
        spoken = sum(TURN_TOKENS + estimated_tokens(message.content) for message in row.messages)
        self._text.append(spoken + PICTURE_MARK_TOKENS * len(pictures))
        self._pictures |= {picture.stored: picture for picture in pictures}
        answer = next((m.content for m in reversed(row.messages) if m.role == "assistant"), "").strip()
        self._answers[answer[:MAX_ANSWER_SHOWN]] += 1

    def statistics(self) -> Statistics:
        """The counts so far. Ranges are (smallest, median, largest), zeros where there is nothing."""
        pictures = self._pictures.values()
        return Statistics(
            rows=self._splits.total(),
            train_rows=self._splits["train"],
            heldout_rows=self._splits["heldout"],
            turns=self._turns,
            pictures=len(pictures),
            picture_bytes=sum(picture.bytes for picture in pictures),
            width_px=_range([picture.width for picture in pictures]),
            height_px=_range([picture.height for picture in pictures]),
            visual_tokens=_range(self._visual),
            text_tokens=_range(self._text),
            total_tokens=sum(self._visual) + sum(self._text),
            most_frequent_answers=tuple(self._answers.most_common(MAX_ANSWERS)),
        )


def estimated_tokens(text: str) -> int:
    """Estimate how many tokens a text becomes, without a tokenizer.

    The rule of thumb for Qwen's vocabulary: 1.5 CJK characters are a token, a digit is one, four other characters are
    one.
    """
    wide, digits = len(_WIDE.findall(text)), len(_DIGIT.findall(text))
    return math.ceil(wide / 1.5 + digits + (len(text) - wide - digits) / 4)


def _range(values: Sequence[int]) -> tuple[int, int, int]:
    if not values:
        return 0, 0, 0
    ordered = sorted(values)
    return ordered[0], ordered[len(ordered) // 2], ordered[-1]
