import ast
import io
import random
import resource
import struct
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from dataset_lab import asked, codes, folder_of, image_bytes, parquet_of
from PIL import Image, ImageDraw, TiffImagePlugin
from PIL.TiffImagePlugin import IFDRational

from backend.datasets.image_pool import ImageOutcome, ImagePool
from backend.datasets.image_worker import MEMORY_BYTES
from backend.datasets.limits import start_worker, worker_command
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions
from backend.settings import ROOT

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")


def checked(tmp_path, **files):
    """Prepare files as one import would; outcomes by name, and the folder they are stored in."""
    source, into = tmp_path / "source", tmp_path / "into"
    into.mkdir(parents=True, exist_ok=True)
    folder_of(source, files)
    found = ImagePool(into).prepare([source / name for name in files])
    return {path.name: outcome for path, outcome in found}, into


def one(tmp_path, content, name="a.png"):
    outcomes, into = checked(tmp_path, **{name: content})
    return outcomes[name], into / (outcomes[name].stored or "-")


def png_chunk(kind, body):
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png_of(width, height):
    head = struct.pack(">LLBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compressobj()
    body = b"".join(rows.compress(bytes((width + 7) // 8 + 1) * 100) for _ in range(height // 100)) + rows.flush()
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", head) + png_chunk(b"IDAT", body) + png_chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_plain_image_is_kept_byte_for_byte(tmp_path, kind, extension, mode):
    content = image_bytes(
        kind=kind, mode="RGB" if kind == "WEBP" else mode, color=128 if mode == "L" and kind != "WEBP" else "red"
    )

    outcome, stored = one(tmp_path, content, "a.dat")

    assert stored.read_bytes() == content
    assert stored.suffix == f".{extension}"
    assert (outcome.width, outcome.height, outcome.warnings) == (40, 30, ())


def test_u7_a_pixel_bomb_is_stopped_before_it_is_decoded(tmp_path):
    content = png_of(30_000, 30_000)
    assert len(content) < 200_000
    (tmp_path / "bomb.png").write_bytes(content)
    worker = start_worker(worker_command("backend.datasets.image_worker", str(tmp_path)))
    worker.stdout.readline()

    worker.stdin.write(f'{{"source": "{tmp_path}/bomb.png", "keep": true}}\n'.encode())
    answer = worker.stdout.readline()
    peak_kib = int(Path(f"/proc/{worker.pid}/status").read_text().split("VmHWM:")[1].split()[0])
    worker.stdin.close()
    worker.stdout.close()
    worker.wait()

    assert b"IMG_TOO_LARGE" in answer
    assert b"30,000 x 30,000 px" in answer
    assert peak_kib < 200 * 1024


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "EPS"),
        (b"SIMPLE  =                    T" + b" " * 3000, "FITS"),
        (b"8BPS\0\1" + bytes(40), "PSD"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"\n <svg/>", "SVG"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b"\0\0\0\x18ftypavif" + bytes(40), "AVIF"),
    ],
)
def test_u8_other_formats_are_refused_whatever_they_are_called(tmp_path, content, kind):
    outcome, _ = one(tmp_path, content)

    assert (outcome.code, outcome.message) == ("IMG_FORMAT_REFUSED", f"is a {kind} file")


def test_u8_every_opening_of_a_image_names_its_decoders():
    opened = 0
    for path in (*(ROOT / "backend/datasets").glob("*.py"), ROOT / "backend/image_size.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Image.open":
                opened += 1
                assert "formats" in {word.arg for word in node.keywords}, path

    assert opened == 2  # by the worker that decodes uploads, and for the sizes of stored ones


def folded(side, seed):
    """A square of noise that comes again after some rows, too far away for PNG to fold it up as TIFF does."""
    rows = -(-40_000 // (side * 3))
    block, sink = random.Random(seed).randbytes(side * 3 * rows), io.BytesIO()
    image = Image.frombytes("RGB", (side, side), (block * (side // rows + 1))[: side * side * 3])
    image.save(sink, "TIFF", compression="zstd", tiffinfo={TiffImagePlugin.ROWSPERSTRIP: side})
    return sink.getvalue()


def test_u20_a_image_that_expands_when_it_is_converted_is_refused(tmp_path):
    content = folded(2_800, 1)
    assert len(content) < 50_000

    outcome, _ = one(tmp_path, content, "a.tif")

    assert outcome.code == "IMG_TOO_LARGE"
    assert f"takes {len(content):,} bytes and 23," in outcome.message
    assert not list((tmp_path / "into").iterdir())


def test_u20_images_of_one_upload_expand_no_more_than_one_would(store, workspace, tmp_path):
    files = {f"{seed}.tif": folded(2_200, seed) for seed in range(3)}
    files |= {"data.json": [asked(name) for name in files]}

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(folder_of(tmp_path / "up", files), ImportOptions())

    assert caught.value.code == "IMG_TOO_LARGE"
    assert "The images of `up` take 143,058 bytes" in caught.value.message
    assert not list(workspace.staging.iterdir())
    assert store.names() == []


def test_u20_images_folded_into_a_table_count_as_they_were_folded(store, workspace, tmp_path):
    """Alone each is as long as the noise; side by side in one table, all but the first are next to nothing."""
    content = folded(1_200, 1)
    images = [content + bytes([number]) for number in range(8)]
    rows = [{"image": {"bytes": each, "path": None}, "question": "Q", "answer": "A"} for each in images]
    table = parquet_of(rows, compression="zstd", use_dictionary=False)
    assert len(table) < 3 * len(content)

    with pytest.raises(UploadRefused, match="The images of `up`"):
        store.import_dataset(folder_of(tmp_path / "up", {"a.parquet": table}), ImportOptions())


def test_u20_a_image_of_more_than_a_quarter_gigabyte_is_not_read(tmp_path):
    folder_of(tmp_path / "source", {"a.png": image_bytes()})
    with (tmp_path / "source" / "a.png").open("ab") as sink:
        sink.truncate(257 << 20)  # a hole: it takes no room

    ((_, outcome),) = ImagePool(tmp_path).prepare([tmp_path / "source" / "a.png"], keep=False)

    assert (outcome.code, outcome.message) == ("IMG_TOO_LARGE", "is larger than 256 MiB")


NOISE = random.Random(1).randbytes(5000)  # the same each time: some noise reads like an image that is cut off


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (image_bytes((200, 200), kind="JPEG")[:-300], "IMG_TRUNCATED"),
        (image_bytes((200, 200))[:-40], "IMG_TRUNCATED"),
        (b"", "IMG_UNDECODABLE"),
        (b"hello, I am text", "IMG_UNDECODABLE"),
        (NOISE, "IMG_UNDECODABLE"),
        (image_bytes()[:60] + NOISE[:200], "IMG_UNDECODABLE"),
        (image_bytes((1, 300)), "IMG_ASPECT"),
        (png_of(10_000, 10_000), "IMG_TOO_LARGE"),
    ],
)
def test_u9_a_bad_image_is_an_outcome(tmp_path, content, code):
    outcome, _ = one(tmp_path, content)

    assert outcome.code == code
    assert outcome.message
    assert not list((tmp_path / "into").iterdir())


def test_u9_no_mangled_image_ends_the_import(tmp_path):
    chance = random.Random(5)
    wholes = [image_bytes((60, 50), kind=kind, mode="RGB") for kind in FORMATS]
    files = {}
    for number in range(150):
        content = bytearray(chance.choice(wholes))
        for _ in range(chance.randint(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        files[f"{number}.png"] = bytes(content)

    outcomes, _ = checked(tmp_path, **files)

    assert len(outcomes) == 150
    assert {outcome.code for outcome in outcomes.values()} <= {
        "",
        "IMG_TRUNCATED",
        "IMG_UNDECODABLE",
        "IMG_TOO_LARGE",
        "IMG_ASPECT",
    }


CRASHING = """
import json, os, sys, time
print('{"ready":true}', flush=True)
for line in sys.stdin:
    name = os.path.basename(json.loads(line)["source"])
    if name.startswith("abort"): os.abort()
    if name.startswith("hang"): time.sleep(3000)
    if name.startswith("babble"): print("nonsense", flush=True)
    if name.startswith("flood"): sys.stdout.write("x" * (3 << 20)); sys.stdout.flush(); time.sleep(3000)
    print(json.dumps({"width": 9, "height": 9, "stored": name, "bytes": 1, "sha256": name}), flush=True)
"""


def test_u9_a_decoder_that_crashes_or_hangs_harms_only_its_own_image(tmp_path):
    names = [f"{kind}{n}.png" for n in range(3) for kind in ("good", "abort", "hang", "babble", "flood")]
    argv = (sys.executable, "-c", CRASHING)

    found = dict(ImagePool(tmp_path, timeout_s=1.5, argv=argv).prepare([tmp_path / name for name in names]))

    by_kind = {path.name[:-5]: outcome.code for path, outcome in found.items()}
    lost = {"abort": "IMG_CRASHED", "hang": "IMG_TIMEOUT", "babble": "IMG_CRASHED", "flood": "IMG_CRASHED"}
    assert by_kind == {"good": ""} | lost
    assert len(found) == 15


def test_workers_end_when_the_reader_stops(tmp_path):
    folder_of(tmp_path / "source", {f"{n}.png": image_bytes() for n in range(120)})
    (tmp_path / "into").mkdir()

    outcomes = ImagePool(tmp_path / "into").prepare(sorted((tmp_path / "source").iterdir()))
    next(outcomes)
    outcomes.close()

    left = []
    for child in psutil.Process().children():
        with suppress(psutil.Error):  # it went while it was looked at
            left += [word for word in child.cmdline() if "image_worker" in word]
    assert left == []


def test_u9_good_rows_are_imported_beside_bad_images(store, tmp_path):
    files = {"a.png": image_bytes(), "b.png": b"x", "c.png": image_bytes((200, 200), kind="JPEG")[:-300]}
    rows = [asked("a.png"), asked("b.png"), asked("c.png"), asked(["a.png", "b.png"], "<image><image>?")]

    report = store.import_dataset(folder_of(tmp_path / "up", files | {"data.json": rows}), ImportOptions())

    assert report.manifest.statistics.rows == 1
    assert report.manifest.skipped_rows == 3
    assert codes(report) == {"IMG_UNDECODABLE": 2, "IMG_TRUNCATED": 1}
    assert "Row 4 of `data.json`: images[1] `b.png` is not an image" in report.problems[-1].message


def half_red(size=(100, 50)):
    image = Image.new("RGB", size, "blue")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill="red")
    return image


def with_exif(image, orientation, kind="JPEG", **save):
    exif = Image.Exif()
    exif[0x0112] = orientation
    sink = io.BytesIO()
    image.save(sink, kind, exif=exif, **save)
    return sink.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_u10_a_note_to_turn_a_image_is_applied_once(tmp_path, kind):
    outcome, stored = one(tmp_path, with_exif(half_red(), 6, kind))

    with Image.open(stored) as image:
        assert image.size == (outcome.width, outcome.height) == (50, 100)
        assert image.getexif().get(0x0112) is None
        top, bottom = image.getpixel((25, 10)), image.getpixel((25, 90))
    assert top[0] > 200 > 60 > top[2]
    assert bottom[2] > 200 > 60 > bottom[0]
    assert [code for code, _ in outcome.warnings] == ["IMG_ROTATED"]


@pytest.mark.parametrize("orientation", range(2, 9))
def test_u10_every_orientation_agrees_with_pillow(tmp_path, orientation):
    from PIL import ImageOps

    content = with_exif(half_red((60, 40)), orientation, "PNG")

    _, stored = one(tmp_path, content)

    with Image.open(stored) as ours, Image.open(io.BytesIO(content)) as raw:
        assert ours.tobytes() == ImageOps.exif_transpose(raw).tobytes()


def test_u10_a_image_that_stands_upright_is_not_touched(tmp_path):
    content = with_exif(half_red(), 1)

    assert one(tmp_path, content)[1].read_bytes() == content


def test_u10_of_what_is_written_anew_no_place_and_no_comment_travels_on(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    sink = io.BytesIO()
    half_red().save(sink, "JPEG", exif=exif, comment=b"taken at home", icc_profile=b"a profile of mine" * 20)

    _, stored = one(tmp_path, sink.getvalue(), "a.jpg")

    assert b"profile of mine" in sink.getvalue()
    with Image.open(stored) as image:
        assert not image.info.keys() & {"exif", "comment", "icc_profile", "xmp", "photoshop"}


def test_u10_broken_metadata_does_not_lose_the_image(tmp_path):
    plain = image_bytes((60, 50), kind="JPEG")
    broken = plain[:2] + b"\xff\xe1\x00\x20Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 14 + plain[2:]
    sink = io.BytesIO()
    half_red().save(sink, "PNG", pnginfo=None)
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x tiff:Orientation="\xff\xfe"/>'
    png = sink.getvalue()
    with_xmp = png[:33] + png_chunk(b"iTXt", xmp) + png[33:]

    no_ratio = Image.Exif()
    no_ratio[0x011A], no_ratio[0x0112] = IFDRational(72, 1), 1
    tag = struct.pack("<II", 72, 1)
    plain_exif = no_ratio.tobytes()
    rational = io.BytesIO()
    half_red().save(rational, "JPEG", exif=plain_exif.replace(tag, struct.pack("<II", 72, 0)).replace(
        struct.pack(">II", 72, 1), struct.pack(">II", 72, 0)))  # fmt: skip

    outcomes, into = checked(tmp_path, **{"exif.jpg": broken, "xmp.png": with_xmp, "rational.jpg": rational.getvalue()})

    for outcome in outcomes.values():
        assert outcome.code == ""
        with Image.open(into / outcome.stored) as image:
            image.load()
            assert image.size == (outcome.width, outcome.height)


def sixteen_bit():
    image = Image.new("I;16", (60, 50))
    for x in range(60):
        for y in range(50):
            image.putpixel((x, y), x * 1000)
    return image


@pytest.mark.parametrize(
    ("mode", "color", "kind", "wanted"),
    [
        ("CMYK", (0, 255, 255, 0), "JPEG", (254, 0, 0)),
        ("LA", (0, 127), "PNG", (128, 128, 128)),
        ("RGBA", (255, 0, 0, 0), "PNG", (255, 255, 255)),
        ("RGBA", (255, 0, 0, 255), "WEBP", (255, 0, 0)),
        ("1", 1, "PNG", (255, 255, 255)),
        ("I;16", 32768, "PNG", (128, 128, 128)),
        ("P", 0, "PNG", (0, 0, 0)),
        ("RGB", (9, 200, 9), "BMP", (9, 200, 9)),
        ("RGB", (9, 200, 9), "TIFF", (9, 200, 9)),
        ("RGB", (9, 200, 9), "GIF", (9, 200, 9)),
    ],
)  # fmt: skip
def test_u11_every_mode_becomes_rgb_of_the_same_look(tmp_path, mode, color, kind, wanted):
    outcome, stored = one(tmp_path, image_bytes((40, 40), color, kind, mode))

    with Image.open(stored) as image:
        assert image.mode == "RGB"
        assert all(abs(ours - theirs) <= 6 for ours, theirs in zip(image.getpixel((20, 20)), wanted, strict=True))
    assert outcome.code == ""
    assert {code for code, _ in outcome.warnings} <= {"IMG_CONVERTED"}


def test_u11_transparent_palettes_are_laid_on_white(tmp_path):
    outcome, stored = one(tmp_path, image_bytes((40, 40), 0, mode="P", transparency=0))

    with Image.open(stored) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    assert outcome.warnings[0][0] == "IMG_CONVERTED"


def test_u11_sixteen_bits_are_scaled_not_clipped(tmp_path):
    sink = io.BytesIO()
    sixteen_bit().save(sink, "PNG")

    _, stored = one(tmp_path, sink.getvalue())

    with Image.open(stored) as image:
        greys = [image.getpixel((x, 5))[0] for x in range(60)]
    assert greys == sorted(greys)
    assert all(abs(grey - x * 1000 / 256) <= 1 for x, grey in enumerate(greys))


def test_u11_floats_are_scaled_over_their_range(tmp_path):
    sink = io.BytesIO()
    image = Image.new("F", (60, 50), -1.0)
    image.paste(3.0, (30, 0, 60, 50))
    image.save(sink, "TIFF")

    _, stored = one(tmp_path, sink.getvalue())

    with Image.open(stored) as stored_image:
        assert (stored_image.getpixel((0, 0)), stored_image.getpixel((59, 0))) == ((0, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_u11_of_an_animation_the_first_frame_is_kept(tmp_path, kind):
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "green", "blue")]
    sink = io.BytesIO()
    frames[0].save(
        sink,
        kind,
        save_all=True,
        append_images=frames[1:],
        duration=100,
        **({"lossless": True} if kind == "WEBP" else {}),
    )

    outcome, stored = one(tmp_path, sink.getvalue())

    with Image.open(stored) as image:
        assert getattr(image, "n_frames", 1) == 1
        assert image.convert("RGB").getpixel((5, 5)) == (255, 0, 0)
    assert "IMG_ANIMATED" in {code for code, _ in outcome.warnings}


def test_a_tiny_image_is_kept_with_a_warning(tmp_path):
    outcome, stored = one(tmp_path, image_bytes((8, 8)))

    assert [code for code, _ in outcome.warnings] == ["IMG_SMALL"]
    assert stored.read_bytes() == image_bytes((8, 8))


def test_a_decoder_cannot_take_the_memory_of_the_machine():
    program = "from backend.datasets.limits import confine\nconfine(1 << 30)\nbytearray(4 << 30)"

    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False)

    assert b"MemoryError" in ended.stderr
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY


def test_the_decoder_has_little_memory_and_no_secret_of_the_person(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    worker = start_worker(worker_command("backend.datasets.image_worker", str(tmp_path)))
    worker.stdout.readline()

    environment = Path(f"/proc/{worker.pid}/environ").read_bytes()
    memory, _ = resource.prlimit(worker.pid, resource.RLIMIT_AS)
    worker.kill()
    worker.wait()
    worker.stdin.close()
    worker.stdout.close()

    assert b"hf_secret" not in environment
    assert memory == MEMORY_BYTES


def test_two_hundred_little_images_take_little_longer_than_one(tmp_path):
    files = {f"{n}.png": image_bytes((64, 64), color=(n, 0, 0)) for n in range(200)}
    started = time.monotonic()
    checked(tmp_path / "alone", **{"0.png": files["0.png"]})
    one_s = time.monotonic() - started  # mostly its worker's start
    started = time.monotonic()

    outcomes, into = checked(tmp_path, **files)

    assert time.monotonic() - started < 10 * one_s
    assert len(list(into.iterdir())) == len({outcome.stored for outcome in outcomes.values()}) == 200
    assert all(isinstance(outcome, ImageOutcome) and not outcome.code for outcome in outcomes.values())
