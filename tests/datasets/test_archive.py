import random
import struct
import tarfile
import zipfile

import pytest
from dataset_lab import asked, codes, folder_of, image_bytes, tree, zip_of

from backend.datasets.archive import unpack
from backend.datasets.problems import ProblemList, UploadRefused
from backend.datasets.store import ImportOptions

GOOD = {"data.json": [asked("a.png")], "a.png": image_bytes()}


def refused(store, workspace, archive, code):
    before = tree(workspace.root)

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(archive, ImportOptions())

    assert caught.value.code == code
    assert tree(workspace.root) == before
    assert not list(workspace.staging.iterdir())
    return caught.value


def test_unpacks_regular_files_under_generated_names(tmp_path):
    archive = zip_of(tmp_path / "a.zip", {"b.txt": b"2", "images/a.png": b"1", "__MACOSX/images/._a.png": b"x"})
    into = tmp_path / "into"
    into.mkdir()

    found = unpack(archive, into, ProblemList())

    assert {name: path.read_bytes() for name, path in found.files.items()} == {"b.txt": b"2", "images/a.png": b"1"}
    assert {path.parent for path in into.iterdir()} == {into}


@pytest.mark.parametrize(
    "name",
    [
        "../evil.png",
        "/abs/evil.png",
        "C:\\evil.png",
        "..\\evil.png",
        "a/../../evil.png",
        "c:evil.png",
        "a/..\\../e.png",
    ],
)
def test_u1_a_name_that_leaves_the_folder_refuses_the_whole_upload(store, workspace, tmp_path, name):
    archive = zip_of(tmp_path / "up.zip", GOOD | {name: b"x"})

    error = refused(store, workspace, archive, "ARCHIVE_PATH")

    assert "outside the dataset folder" in error.message
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o140644], ids=["symlink", "fifo", "device", "socket"])
def test_u2_links_and_special_files_are_refused(store, workspace, tmp_path, mode):
    archive = zip_of(tmp_path / "up.zip", GOOD)
    with zipfile.ZipFile(archive, "a") as zipped:
        entry = zipfile.ZipInfo("link.png")
        entry.create_system, entry.external_attr = 3, mode << 16
        zipped.writestr(entry, "/etc/passwd")

    assert "link.png" in refused(store, workspace, archive, "ARCHIVE_SPECIAL").message


def test_u3_a_file_that_expands_a_thousandfold_is_refused(store, workspace, tmp_path):
    ballast = random.Random(1).randbytes(400_000)  # beside it the archive as a whole is none that expands much
    archive = zip_of(tmp_path / "up.zip", GOOD | {"zeros.bin": bytes(50 << 20), "noise.bin": ballast})

    error = refused(store, workspace, archive, "ARCHIVE_BOMB")

    assert "`zeros.bin` takes 50," in error.message
    assert "and unpacks to 52,428,800" in error.message


def test_u3_more_than_any_disk_should_take_is_refused_whatever_the_ratio(store, workspace, tmp_path):
    archive = tmp_path / "up.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("data.json", b"[]")
        zipped.infolist()[0].file_size = 60 << 30

    assert "60.0 GiB" in refused(store, workspace, archive, "ARCHIVE_TOO_LARGE").message


def test_u20_many_small_files_that_expand_are_refused_together(store, workspace, tmp_path):
    zeros = {f"{number}.bin": bytes(1 << 20) for number in range(30)}
    archive = zip_of(tmp_path / "up.zip", GOOD | zeros, zipfile.ZIP_BZIP2)
    assert archive.stat().st_size < 10_000

    error = refused(store, workspace, archive, "ARCHIVE_BOMB")

    assert "`up.zip` unpacks to 31,4" in error.message
    assert "16,777,216 are the most" in error.message


def test_u20_archives_of_one_folder_expand_no_more_than_one_would(store, workspace, tmp_path):
    folder = folder_of(tmp_path / "up", {"data.json": [asked("a.png")], "a.png": image_bytes()})
    for number in range(3):
        zip_of(folder / f"{number}.zip", {f"{number}.bin": bytes(7 << 20)}, zipfile.ZIP_BZIP2)

    assert "`2.zip`" in refused(store, workspace, folder, "ARCHIVE_BOMB").message


def test_u20_a_list_of_files_that_would_fill_the_memory_is_not_read(store, workspace, tmp_path):
    archive, size = tmp_path / "up.zip", 97 << 20
    with archive.open("wb") as sink:
        sink.seek(size)  # a hole: it takes no room
        sink.write(struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 9, 9, size, 0, 0))

    assert "takes 97 MiB" in refused(store, workspace, archive, "ARCHIVE_TOO_LARGE").message


def test_u3_a_hundred_thousand_empty_files_are_refused(store, workspace, tmp_path):
    entry = b"PK\x03\x04" + bytes(22) + struct.pack("<HH", 6, 0)
    local = b"".join(entry + b"%06x" % n for n in range(100_000))
    size = len(entry) + 6
    central = b"".join(
        b"PK\x01\x02" + bytes(24) + struct.pack("<HHHHHLL", 6, 0, 0, 0, 0, 0, n * size) + b"%06x" % n
        for n in range(100_000)
    )
    wide = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 100_000, 100_000, len(central), len(local))
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(local) + len(central), 1)
    end = struct.pack("<4sHHHHLLH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(central), len(local), 0)
    archive = tmp_path / "up.zip"
    archive.write_bytes(local + central + wide + locator + end)

    assert "100,000 empty files" in refused(store, workspace, archive, "ARCHIVE_BOMB").message


def test_u3_a_forged_size_is_found_out_and_bounds_what_is_written(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", {"data.json": [asked("a.png")], "a.png": image_bytes() + bytes(100_000)})
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<L", 10)
    archive.write_bytes(content)
    into = tmp_path / "into"
    into.mkdir()

    with pytest.raises(UploadRefused) as caught:
        unpack(archive, into, ProblemList())

    assert caught.value.code == "ARCHIVE_DAMAGED"
    assert sum(path.stat().st_size for path in into.iterdir()) < 1_000
    refused(store, workspace, archive, "ARCHIVE_DAMAGED")


def test_u3_overlapping_entries_are_refused(store, workspace, tmp_path):
    archive = zip_of(
        tmp_path / "up.zip", {"a.txt": random.Random(1).randbytes(1000), "b.txt": b"2"}, zipfile.ZIP_STORED
    )
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 42
    content[place : place + 4] = struct.pack("<L", 0)
    archive.write_bytes(content)

    refused(store, workspace, archive, "ARCHIVE_BOMB")


def test_u4_an_inner_archive_is_refused(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", GOOD | {"more/Images.ZIP": b"PK"})

    assert "more/Images.ZIP" in refused(store, workspace, archive, "ARCHIVE_NESTED").message


def test_u4_an_encrypted_archive_is_refused(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", GOOD)
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.index(mark) + offset
        content[place] |= 1
    archive.write_bytes(content)

    assert "password" in refused(store, workspace, archive, "ARCHIVE_ENCRYPTED").hint


def test_u4_a_cut_off_archive_is_refused(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", GOOD)
    archive.write_bytes(archive.read_bytes()[:-60])

    refused(store, workspace, archive, "ARCHIVE_DAMAGED")


def test_u4_what_is_no_zip_is_called_by_its_kind(store, workspace, tmp_path):
    text, tar, seven = tmp_path / "a.zip", tmp_path / "b.zip", tmp_path / "c.zip"
    text.write_text("hello")
    with tarfile.open(tar, "w") as made:
        made.add(text, "a.txt")
    seven.write_bytes(b"7z\xbc\xaf\x27\x1c" + bytes(100))

    assert "not a zip archive" in refused(store, workspace, text, "ARCHIVE_KIND").message
    assert "a tar archive" in refused(store, workspace, tar, "ARCHIVE_KIND").message
    assert "a 7z archive" in refused(store, workspace, seven, "ARCHIVE_KIND").message


def test_u4_an_unknown_packing_method_is_refused(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", GOOD)
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\x01\x02") + 10
    content[place : place + 2] = struct.pack("<H", 9)
    archive.write_bytes(content)

    assert "`a.png` is packed" in refused(store, workspace, archive, "ARCHIVE_METHOD").message


def test_u4_a_damaged_archive_of_any_kind_is_an_error_with_a_hint(tmp_path):
    content = zip_of(tmp_path / "good.zip", GOOD).read_bytes()
    chance = random.Random(3)
    archive, refusals = tmp_path / "broken.zip", []
    for number in range(300):
        broken = bytearray(content)
        for _ in range(chance.randint(1, 6)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        archive.write_bytes(broken)
        into = tmp_path / f"into-{number}"
        into.mkdir()
        try:
            unpack(archive, into, ProblemList())
        except UploadRefused as error:
            refusals.append(error)

    assert len(refusals) > 50
    assert all(error.code.startswith("ARCHIVE_") and error.hint for error in refusals)


def test_u5_hostile_names_are_stored_under_names_of_our_own_and_shown_escaped(store, tmp_path):
    hostile = [
        "a\nb\x1b[31m.png",
        "<img src=x onerror=alert(1)>.png",
        "x" * 296 + ".png",
        "CON.png",
        "-rf.png",
        "A.png",
        "a.png",
    ]
    files = {name: image_bytes(color=(n, 0, 0)) for n, name in enumerate(hostile)}
    rows = [asked(name) for name in hostile] + [asked("gone\x1b[2J.png")]

    report = store.import_dataset(zip_of(tmp_path / "up.zip", files | {"data.json": rows}), ImportOptions())

    assert report.manifest.statistics.rows == len(hostile)
    assert codes(report)["ARCHIVE_NAME_CASE"] == 1
    stored = [path.name for path in (store.folder("up") / "images").iterdir()]
    assert len(stored) == len(hostile)
    assert all(name.removesuffix(".png").isalnum() for name in stored)
    assert all("\x1b" not in problem.message and "\n" not in problem.message for problem in report.problems)
    assert any("gone\\x1b[2J.png" in problem.message for problem in report.problems)


def gbk_zip(path, name, files):
    """As Windows in China makes it: the name in GBK, and no word about it."""
    stand_in = "N" * len(name.encode("gbk"))
    zip_of(path, files | {stand_in: image_bytes()})
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), name.encode("gbk")))
    return path


def test_u6_names_in_gbk_are_matched_with_rows_in_utf8(store, tmp_path):
    archive = gbk_zip(tmp_path / "up.zip", "图片猫.png", {"data.json": [asked("图片猫.png")]})

    report = store.import_dataset(archive, ImportOptions())

    assert report.manifest.statistics.images == 1
    assert codes(report) == {"ARCHIVE_NAMES": 1}
    assert "图片猫.png" in report.problems[0].message


def test_u6_names_that_really_are_cp437_are_matched_too(store, tmp_path):
    archive = gbk_zip(tmp_path / "up.zip", "图片.png", {"data.json": [asked("图片.png".encode("gbk").decode("cp437"))]})

    assert store.import_dataset(archive, ImportOptions()).manifest.statistics.rows == 1


def test_u6_composed_and_decomposed_accents_are_one_name(store, tmp_path):
    archive = zip_of(tmp_path / "up.zip", {"data.json": [asked("cafe\u0301.png")], "caf\u00e9.png": image_bytes()})
    folder = folder_of(
        tmp_path / "folder", {"data.json": [asked("caf\u00e9.png", answer="Blue")], "cafe\u0301.png": image_bytes()}
    )

    assert store.import_dataset(archive, ImportOptions()).manifest.statistics.rows == 1
    assert store.import_dataset(folder, ImportOptions()).manifest.statistics.rows == 1


def test_the_same_name_twice_refuses_the_upload(store, workspace, tmp_path):
    archive = tmp_path / "up.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("a.png", image_bytes())
        with pytest.warns(UserWarning, match="Duplicate name"):
            zipped.writestr("a.png", image_bytes(color="blue"))

    refused(store, workspace, archive, "ARCHIVE_DUPLICATE")


def test_a_zip_of_images_alone_says_what_is_missing(store, workspace, tmp_path):
    archive = zip_of(tmp_path / "up.zip", {"a.png": image_bytes(), "b.png": image_bytes()})

    error = refused(store, workspace, archive, "NO_ANNOTATION")

    assert "2 images" in error.message
    assert ".jsonl" in error.hint


def test_a_zip_beside_its_annotation_file_is_unpacked(store, tmp_path):
    folder = folder_of(tmp_path / "up", {"data.json": [asked("images/a.png")]})
    zip_of(folder / "images.zip", {"images/a.png": image_bytes()})

    assert store.import_dataset(folder, ImportOptions()).manifest.statistics.images == 1


@pytest.mark.parametrize("name", ["", ".", "./."])
def test_u4_a_file_without_a_name_is_damage(store, workspace, tmp_path, name):
    archive = tmp_path / "nameless.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("data.json", b"[]")
        entry = zipfile.ZipInfo("x")
        entry.filename = name
        zipped.writestr(entry, b"x")

    assert "without a name" in refused(store, workspace, archive, "ARCHIVE_DAMAGED").message
