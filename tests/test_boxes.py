"""T9: boxes survive the way to the image that the model sees, and back."""

import random
import re

from backend.image_size import Scale, resized, scale_of, scaled_boxes


def test_t9_a_box_comes_back_within_a_pixel_where_the_image_is_not_shrunk():
    chance = random.Random(9)
    for _ in range(2_000):
        height, width = chance.randint(28, 600), chance.randint(28, 600)
        left, top = chance.randint(0, width - 2), chance.randint(0, height - 2)
        box = [left, top, chance.randint(left + 1, width), chance.randint(top + 1, height)]
        scale = scale_of(height, width, 4 * 784, 4096 * 784)

        back = scaled_boxes(scaled_boxes(str(box), scale), scale.inverse)

        found = [int(number) for number in re.findall(r"\d+", back)]
        assert max(abs(a - b) for a, b in zip(box, found, strict=True)) <= 1


def test_t9_the_whole_image_stays_the_whole_image():
    for height, width in ((3000, 4000), (40, 300), (28, 28), (1000, 999)):
        rows, columns = resized(height, width, 4 * 784, 576 * 784)

        scaled = scaled_boxes(f"[0, 0, {width}, {height}]", scale_of(height, width, 4 * 784, 576 * 784))

        assert scaled == f"[0, 0, {columns}, {rows}]"


def test_only_boxes_are_scaled_wherever_they_stand():
    text = 'Two: {"bbox_2d": [10, 20.5, 30, 40], "label": "cup 10"}, [ 1,2,3,4 ], not [1, 2, 3] nor 10, 20, 30, 40.'

    assert scaled_boxes(text, Scale(2.0, 0.5)) == (
        'Two: {"bbox_2d": [20, 10, 60, 20], "label": "cup 10"}, [ 2,1,6,2 ], not [1, 2, 3] nor 10, 20, 30, 40.'
    )
