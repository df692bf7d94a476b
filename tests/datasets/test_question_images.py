"""Images that somebody asks about on the command line: seen as the same files are seen after an import."""

from pathlib import Path

import pytest
from PIL import Image

from backend.errors import DatasetError
from studio.cli.chat import as_imported


def test_a_transparent_image_is_laid_on_white_and_kept_once(tmp_path: Path):
    image, stored = tmp_path / "glass.png", tmp_path / "stored"
    stored.mkdir()
    Image.new("RGBA", (56, 84), (0, 0, 0, 0)).save(image)

    found = as_imported([image, image], stored)

    assert found[0] == found[1]
    assert list(stored.iterdir()) == [found[0]]
    with Image.open(found[0]) as seen:
        assert (seen.mode, seen.size, seen.getpixel((5, 5))) == ("RGB", (56, 84), (255, 255, 255))


def test_a_image_that_is_cut_off_is_refused_with_its_name(tmp_path: Path):
    whole, stored = tmp_path / "cut.png", tmp_path / "stored"
    stored.mkdir()
    Image.effect_noise((200, 200), 60).save(whole)
    whole.write_bytes(whole.read_bytes()[:2_000])

    with pytest.raises(DatasetError, match=r"`cut\.png`") as caught:
        as_imported([whole], stored)

    assert caught.value.hint
    assert list(stored.iterdir()) == []
