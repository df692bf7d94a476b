"""The demo model's classes with random weights, and images to show it."""

from pathlib import Path

import pytest
from PIL import Image


@pytest.fixture(scope="session")
def untrained(tmp_path_factory) -> Path:
    """A whole model folder with random weights, made from a seed."""
    from backend.programs.model.demo_model import make_untrained

    folder = tmp_path_factory.mktemp("models") / "untrained"
    make_untrained(folder, seed=7)
    return folder


@pytest.fixture(scope="session")
def encoder(untrained):
    from backend.programs.model.encoder import Encoder

    return Encoder(untrained, min_pixels=4 * 784, max_pixels=64 * 784)


@pytest.fixture
def images(tmp_path) -> list[Path]:
    """Three images of different sizes, one of them extreme."""
    sizes = [(112, 84), (40, 300), (200, 140)]
    paths = []
    for number, size in enumerate(sizes):
        image = Image.radial_gradient("L").resize(size).convert("RGB")
        paths.append(tmp_path / f"{number}.png")
        image.rotate(90 * number, expand=False).save(paths[-1])
    return paths
