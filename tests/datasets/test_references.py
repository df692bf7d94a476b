import socket
import tracemalloc

import pytest
from dataset_lab import asked, codes, folder_of, image_bytes

from backend.datasets.archive import UnpackedArchive
from backend.datasets.image_resolver import ImageResolver, UnresolvedImageError
from backend.datasets.store import ImportOptions
from backend.datasets.upload import Upload


def references(tmp_path, *names):
    folder_of(tmp_path / "up", {name: b"x" for name in names})
    return ImageResolver(Upload("up", [], UnpackedArchive({}, {}, {}), tmp_path / "up"), tmp_path)


def resolved(found, tmp_path, reference, annotation="data.json"):
    return str(found.resolve(reference, annotation).path.relative_to(tmp_path / "up"))


def refusal(found, reference, annotation="data.json"):
    with pytest.raises(UnresolvedImageError) as caught:
        found.resolve(reference, annotation)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    ("reference", "annotation"),
    [
        ("images/1.png", "data.json"),
        ("./images//1.png", "data.json"),
        ("images\\1.png", "data.json"),
        ("1.png", "images/data.json"),
        ("../images/1.png", "annotations/data.json"),
        ("images/x/../1.png", "data.json"),
    ],
)
def test_paths_count_from_the_annotation_file_and_from_the_top(tmp_path, reference, annotation):
    found = references(tmp_path, "images/1.png", "annotations/data.json")

    assert resolved(found, tmp_path, reference, annotation) == "images/1.png"
    assert found.notice() == ""


@pytest.mark.parametrize(
    "reference",
    ["data/set/images/1.png", "1.png", "/home/someone/set/images/1.png", "file:///home/some%20one/images/1.png",
     "C:\\Users\\me\\images\\1.png", "../../other/images/1.png"],
)  # fmt: skip
def test_u15_other_paths_are_matched_by_the_longest_ending_that_was_uploaded(tmp_path, reference):
    found = references(tmp_path, "images/1.png", "images/2.png")

    assert resolved(found, tmp_path, reference) == "images/1.png"
    assert found.notice().startswith("1 image path was matched by the ending")


def test_u20_a_path_of_thousands_of_parts_is_not_compared_part_by_part(tmp_path):
    """Each number of parts is an index of all names: of one as deep as this, 120 MB."""
    deep = "a/" * 8_000
    found = ImageResolver(Upload("up", [], UnpackedArchive({f"{deep}1.png": tmp_path / "1"}, {}, {}), None), tmp_path)

    tracemalloc.start()
    assert refusal(found, f"b/{deep}2.png")[0] == "IMG_NOT_FOUND"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found.resolve("b/1.png", "data.json").path == tmp_path / "1"
    assert most < 10 << 20


def test_an_ending_that_fits_two_images_names_both(tmp_path):
    found = references(tmp_path, "a/1.png", "b/1.png", "b/c/2.png", "d/c/2.png", "d/2.png")

    code, message = refusal(found, "x/1.png")

    assert code == "IMG_AMBIGUOUS"
    assert "`a/1.png`, `b/1.png`" in message
    assert resolved(found, tmp_path, "x/1.png", "b/data.json") == "b/1.png"
    assert refusal(found, "x/c/2.png")[0] == "IMG_AMBIGUOUS"


@pytest.mark.parametrize(
    "reference",
    ["/etc/passwd", "file:///etc/passwd", "../../../etc/passwd", "http://169.254.169.254/1.png", "https://a.b/1.png",
     "s3://bucket/1.png", "C:\\Windows\\win.ini", "\\\\server\\share\\x.png"],
)  # fmt: skip
def test_u15_what_lies_outside_the_upload_is_refused(tmp_path, reference):
    assert refusal(references(tmp_path, "images/1.png"), reference)[0] == "PATH_REFUSED"


@pytest.mark.parametrize("reference", ["a\0b.png", "x" * 5000, "\ud800.png", "", ".", "/", "..", "con\x1b[0m"])
def test_u15_odd_names_are_only_not_found(tmp_path, reference):
    assert refusal(references(tmp_path, "images/1.png"), reference)[0] in ("IMG_NOT_FOUND", "PATH_REFUSED")


def test_u15_a_link_that_leads_out_is_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"x")
    found = references(tmp_path, "images/1.png")
    (tmp_path / "up/images/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "up/out").symlink_to(tmp_path)
    (tmp_path / "up/inner.png").symlink_to(tmp_path / "up/images/1.png")

    assert refusal(found, "images/link.png")[0] == "LINK_REFUSED"
    assert refusal(found, "out/secret.png")[0] == "LINK_REFUSED"
    assert resolved(found, tmp_path, "inner.png") == "inner.png"


def test_u15_hidden_folders_are_not_looked_into(tmp_path):
    found = references(tmp_path, "images/1.png", ".git/secret.png", "images/.cache/2.png")

    assert refusal(found, "x/secret.png")[0] == refusal(found, "x/2.png")[0] == "IMG_NOT_FOUND"
    assert resolved(found, tmp_path, "x/1.png") == "images/1.png"


def test_of_a_folder_without_end_so_many_files_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("backend.datasets.upload.MAX_WALKED", 5)
    folder_of(tmp_path / "up", {f"{folder}/{number}.png": b"x" for folder in "abc" for number in range(4)})

    upload = Upload("up", [], UnpackedArchive({}, {}, {}), tmp_path / "up")

    assert len(upload.files()) == 5


@pytest.mark.parametrize(
    ("reference", "meant"),
    [("cat 1.jpg", "cat_1.jpg"), ("cat_1.png", "cat_1.jpg"), ("dgo_7.jpg", "dog_7.jpg")],
)
def test_a_missing_image_suggests_the_nearest(tmp_path, reference, meant):
    found = references(tmp_path, "cat_1.jpg", "dog_7.jpg")

    assert refusal(found, reference) == (
        "IMG_NOT_FOUND",
        f"`{reference}` is not in the upload (did you mean `{meant}`?)",
    )


def test_a_missing_image_says_where_images_are(tmp_path):
    found = references(tmp_path, "imgs/a.jpg", "imgs/b.jpg")

    assert refusal(found, "0042.png")[1].endswith("(it has 2 images under `imgs/`)")


def test_u15_an_import_opens_nothing_outside_the_upload(store, tmp_path, monkeypatch):
    connected = []
    monkeypatch.setattr(socket.socket, "connect", lambda _, address: connected.append(address))
    (tmp_path / "outside.png").write_bytes(image_bytes())
    names = [
        str(tmp_path / "outside.png"),
        f"file://{tmp_path}/outside.png",
        "../outside.png",
        "http://127.0.0.1:9/outside.png",
    ]
    folder = folder_of(
        tmp_path / "up", {"data.json": [asked(name) for name in [*names, "in.png"]], "in.png": image_bytes()}
    )

    report = store.import_dataset(folder, ImportOptions())

    assert connected == []
    assert codes(report) == {"PATH_REFUSED": 4}
    assert report.manifest.statistics.rows == 1
    assert report.problems[0].message.startswith("Row 1 of `data.json`: images[0] `")
