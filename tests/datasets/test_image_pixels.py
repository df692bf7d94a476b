"""What the stored image shows: the range of deep grey, and photographs turned without growing."""

import io

import numpy as np
import pytest
from dataset_lab import asked, folder_of
from PIL import Image, ImageChops, ImageStat

from backend.datasets.store import ImportOptions


def stored(store, tmp_path, name, content):
    report = store.import_dataset(
        folder_of(tmp_path / "up", {name: content, "data.json": [asked(name)]}), ImportOptions()
    )
    [path] = (store.folder("up") / "images").iterdir()
    return report, path


def grey(values, kind):
    sink = io.BytesIO()
    Image.fromarray(values).save(sink, kind)
    return sink.getvalue()


RAMP = np.arange(64 * 64).reshape(64, 64)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (RAMP.astype(np.uint16), (0, 255)),  # 12 bits of 16
        ((RAMP // 16 + 1000).astype(np.uint16), (0, 255)),  # an offset, as in CT
        ((RAMP * 16).astype(np.uint16), (0, 255)),  # all of 16 bits
        ((RAMP * 9 + 20_000).astype(np.uint16), None),  # more than half of them: as it is
    ],
)
def test_deep_grey_uses_the_range_it_has(store, tmp_path, kind, values, expected):
    report, path = stored(store, tmp_path, f"a.{kind.lower()}", grey(values, kind))

    low, high = Image.open(path).convert("L").getextrema()
    if expected is None:
        expected = (int(values.min()) // 257, int(values.max()) // 257)
    assert (low, high) == pytest.approx(expected, abs=2)
    [problem] = [each for each in report.problems if each.code == "IMG_CONVERTED"]
    assert "became black to white" in problem.message


def test_one_colour_stays_as_it_is(store, tmp_path):
    _, path = stored(store, tmp_path, "a.png", grey(np.full((40, 40), 32_768, np.uint16), "PNG"))

    assert Image.open(path).convert("L").getextrema() == pytest.approx((128, 128), abs=1)


def test_values_that_are_no_numbers_are_refused(store, tmp_path):
    values = RAMP.astype(np.float32)
    values[0, 0] = np.nan
    report = None
    with pytest.raises(Exception, match="No row of") as caught:
        report, _ = stored(store, tmp_path, "a.tiff", grey(values, "TIFF"))
    assert report is None
    assert "no numbers" in caught.value.problems[0].message


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_photograph_is_turned_and_hardly_grows(store, tmp_path, orientation, mode):
    noise = np.random.default_rng(1).normal(128, 20, (120, 160, 3)).clip(0, 255).astype(np.uint8)
    photo = Image.fromarray(noise).resize((640, 480), Image.Resampling.BICUBIC).convert(mode)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "a maker"
    sink = io.BytesIO()
    photo.save(sink, "JPEG", quality=80, exif=exif)

    report, path = stored(store, tmp_path, "a.jpg", sink.getvalue())

    from PIL import ImageOps

    lossless = ImageOps.exif_transpose(Image.open(io.BytesIO(sink.getvalue())))
    result = Image.open(path)
    assert (path.suffix, result.size) == (".jpg", lossless.size)
    assert path.stat().st_size < 1.5 * len(sink.getvalue())
    difference = ImageStat.Stat(ImageChops.difference(result.convert("L"), lossless.convert("L")))
    assert difference.mean[0] < 1.5
    assert not result.getexif()
    assert report.manifest.problem_counts["IMG_ROTATED"] == 1
