"""Patches made without the processor are the processor's own."""

import pytest
import torch

pytestmark = pytest.mark.torch


def test_patches_are_those_of_the_released_processor(encoder, pictures):
    from backend.programs.model.encoder import open_picture, sized_picture

    for path in pictures:
        picture = open_picture(path)
        sized = sized_picture(picture, encoder.min_pixels, encoder.max_pixels)

        patches, grid = encoder.patches_of(picture, encoder.max_pixels)

        expected = encoder.processor.image_processor(images=[sized], do_resize=False, return_tensors="pt")
        assert patches.dtype == torch.float32
        assert (patches - expected["pixel_values"]).abs().max() < 1e-6
        assert grid.equal(expected["image_grid_thw"][0])
