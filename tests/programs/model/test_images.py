"""Patches made without the processor are the processor's own."""

import pytest
import torch

pytestmark = pytest.mark.torch


def test_patches_are_those_of_the_released_processor(encoder, images):
    from backend.programs.model.encoder import open_image, sized_image

    for path in images:
        image = open_image(path)
        sized = sized_image(image, encoder.min_pixels, encoder.max_pixels)

        patches, grid = encoder.patches_of(image, encoder.max_pixels)

        expected = encoder.processor.image_processor(images=[sized], do_resize=False, return_tensors="pt")
        assert patches.dtype == torch.float32
        assert (patches - expected["pixel_values"]).abs().max() < 1e-6
        assert grid.equal(expected["image_grid_thw"][0])
