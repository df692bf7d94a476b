"""Coordinates in any notation are scaled alike, and nothing else is."""

import pytest

from backend.coordinates import Bounds, scaled_coordinates, unit_of

IMAGE = Bounds(200, 100)
PIXELS = [
    ("[10, 20, 30, 40]", "[20, 10, 60, 20]"),
    ('[{"bbox_2d": [10, 20, 30, 40], "label": "cup 7"}]', '[{"bbox_2d": [20, 10, 60, 20], "label": "cup 7"}]'),
    ("(10,20),(30,40)", "(20,10),(60,20)"),
    ("<|box_start|>(10,20),(30,40)<|box_end|>", "<|box_start|>(20,10),(60,20)<|box_end|>"),
    ("<box>[[10, 20, 30, 40]]</box>", "<box>[[20, 10, 60, 20]]</box>"),
    ('{"point_2d": [10, 20], "label": "dot"}', '{"point_2d": [20, 10], "label": "dot"}'),
    ('{"points": [[10, 20], [30, 20], [30, 40], [10, 40]]}', '{"points": [[20, 10], [60, 10], [60, 20], [20, 20]]}'),
    ('{"x1": 10, "y1": 20, "x2": 30, "y2": 40}', '{"x1": 20, "y1": 10, "x2": 60, "y2": 20}'),
    ('{"x": 10, "y": 20, "width": 30, "height": 40, "n": 5}', '{"x": 20, "y": 10, "width": 60, "height": 20, "n": 5}'),
    ("click(start_box='(10,20)')", "click(start_box='(20,10)')"),
    ('{"action": "left_click", "coordinate": [10, 20]}', '{"action": "left_click", "coordinate": [20, 10]}'),
    ("At [10.4, 20.0, 30.0, 40.0] and [0, 0, 200, 100].", "At [21, 10, 60, 20] and [0, 0, 400, 50]."),
]


@pytest.mark.parametrize(("text", "scaled"), PIXELS)
def test_every_notation_of_pixels_is_scaled(text, scaled):
    assert unit_of(text, IMAGE) == "pixels"
    assert scaled_coordinates(text, 2.0, 0.5, IMAGE) == scaled


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("[0.12, 0.30, 0.55, 0.80]", "fractions"), ("(0.1,0.2),(0.3,0.4)", "fractions"),
        ('{"point_2d": [0.5, 0.25]}', "fractions"), ("[250, 500, 750, 900]", "unknown"),  # thousandths
        ("[1532, 27, 88, 4]", "unknown"), ("[30, 20, 10, 40]", "unknown"), ("[-5, 0, 10, 10]", "unknown"),
        ('[{"bbox_2d": [10, 20, 30, 40]}, {"point_2d": [900, 350]}]', "unknown"),  # one answer, one unit
        ("[1, 2, 3]", "none"), ("10, 20, 30, 40", "none"), ("(2024, 1)", "none"), ("12.50", "none"),
        ("[1, 2, 3, 4, 5]", "none"), ('{"width": 3, "height": 4}', "none"), ("<loc0100><loc0200>", "none"),
        ('<point x="10.5" y="20.1">cup</point>', "none"), ("", "none"),
    ],
)  # fmt: skip
def test_what_is_no_pixel_of_the_image_stays_as_it_is(text, unit):
    assert unit_of(text, IMAGE) == unit
    assert scaled_coordinates(text, 2.0, 0.5, IMAGE) == text


def test_what_a_model_wrote_may_lie_anywhere():
    assert scaled_coordinates("[10, 20, 300, 400]", 2.0, 0.5) == "[20, 10, 600, 200]"
