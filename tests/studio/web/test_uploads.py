"""What browsers send, from the uploads folder to a dataset or to oblivion."""

import hashlib
import io
import os
import time
from pathlib import Path

import pytest
from PIL import Image

from backend.datasets.records import ImportReport
from backend.datasets.store import DatasetStore, ImportOptions
from backend.errors import DatasetError
from backend.settings import Workspace
from studio.pages.data.importing import StagedUpload, import_steps, stage
from studio.ui.i18n import translator
from studio.web.background import KEEP_UPLOADS_S, remove_old_uploads
from studio.web.images import MOST_IMAGES, chat_image, chat_images_folder, take_images

EN, ZH = translator("en"), translator("zh")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    return workspace


def sent(workspace: Workspace, name: str, content: bytes) -> str:
    """A file as Gradio keeps it: in a folder named by its content."""
    folder = workspace.uploads / hashlib.sha256(content + name.encode()).hexdigest()
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return str(folder / name)


def image(colour: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (64, 64), colour).save(sink, "PNG")
    return sink.getvalue()


def a_table(workspace: Workspace) -> StagedUpload:
    rows = b"question,answer\nWhat?,this\nAnd?,that\nElse?,no\n"
    return stage(workspace, [sent(workspace, "table.csv", rows)], EN)


def test_one_file_is_handed_on_as_it_is_and_several_as_their_folder(workspace: Workspace):
    one = stage(workspace, [sent(workspace, "my data.zip", b"x")], EN)
    several = stage(workspace, [sent(workspace, "a.png", b"1"), sent(workspace, "rows.jsonl", b"2")], EN)

    assert (one.source.name, one.suggested_name) == ("my data.zip", "my-data")
    assert (several.source, several.suggested_name) == (several.folder, "rows")
    assert {path.name for path in several.folder.iterdir()} == {"a.png", "rows.jsonl"}


def test_two_files_of_one_name_are_refused_and_nothing_is_left(workspace: Workspace):
    twice = [sent(workspace, "a.png", b"1"), sent(workspace, "a.png", b"2")]

    with pytest.raises(DatasetError, match=r"Two of the files are called `a\.png`"):
        stage(workspace, twice, EN)
    with pytest.raises(DatasetError, match=r"有两个文件都叫 `a\.png`"):
        stage(workspace, twice, ZH)

    assert not list(workspace.uploads.glob("import-*"))


def test_an_import_tells_its_steps_and_removes_the_upload(workspace: Workspace):
    upload = a_table(workspace)

    steps = list(import_steps(DatasetStore(workspace), upload, ImportOptions(name="table")))

    assert steps[0] == 0.0
    assert isinstance(steps[-1], ImportReport)
    assert not upload.folder.exists()
    assert DatasetStore(workspace).names() == ["table"]


def test_an_import_goes_on_when_its_visitor_leaves(workspace: Workspace):
    steps = import_steps(DatasetStore(workspace), a_table(workspace), ImportOptions(name="table"))
    next(steps)
    steps.close()

    deadline = time.monotonic() + 20
    while DatasetStore(workspace).names() != ["table"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_until_its_end_the_files_belong_to_the_import(workspace: Workspace):
    colours = ("red", "green", "blue", "black")
    files = [sent(workspace, f"{colour}.png", image(colour)) for colour in colours]
    rows = "".join(f"{colour}.png,What colour?,{colour}\n" for colour in colours)
    upload = stage(workspace, [*files, sent(workspace, "rows.csv", f"image,question,answer\n{rows}".encode())], EN)

    steps = import_steps(DatasetStore(workspace), upload, ImportOptions(name="colours"))
    next(steps)
    assert upload.is_taken
    upload.remove()  # the box was emptied, or the page was closed
    *_, report = steps

    assert isinstance(report, ImportReport)
    assert report.manifest.statistics.rows == len(colours)
    assert not report.problems
    assert not list(workspace.uploads.glob("import*"))


def test_a_refused_import_keeps_the_upload_for_another_try(workspace: Workspace):
    store = DatasetStore(workspace)
    list(import_steps(store, a_table(workspace), ImportOptions(name="taken")))
    other = stage(workspace, [sent(workspace, "other.csv", b"question,answer\nA?,b\nC?,d\n")], EN)

    with pytest.raises(DatasetError, match="taken"):
        list(import_steps(store, other, ImportOptions(name="taken")))

    assert other.source.is_file()
    list(import_steps(store, other, ImportOptions(name="free")))
    assert store.names() == ["free", "taken"]


def test_asked_images_are_stored_by_content_upright_and_found_by_name(workspace: Workspace, tmp_path: Path):
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (80, 40), "red").save(tmp_path / "lying.jpg", exif=exif)

    names = take_images(workspace, [tmp_path / "lying.jpg", tmp_path / "lying.jpg"], EN)

    assert names[0] == names[1]
    path = chat_image(workspace, names[0])
    assert path is not None
    with Image.open(path) as stored:
        assert stored.size == (40, 80)
    assert chat_image(workspace, "../studio.db") is None
    assert chat_image(workspace, "0" * 24 + ".png") is None


def test_images_that_cannot_be_used_are_named(workspace: Workspace, tmp_path: Path):
    (tmp_path / "note.png").write_text("no image")

    for t in (EN, ZH):
        with pytest.raises(DatasetError) as caught:
            take_images(workspace, [tmp_path / "note.png"], t)
        title = t("problem.IMG_UNDECODABLE.title")
        assert caught.value.message == t("play.bad_image", name="note.png", why=title)
        assert caught.value.hint == t("problem.IMG_UNDECODABLE.hint")
        with pytest.raises(DatasetError) as caught:
            take_images(workspace, [tmp_path / "note.png"] * (MOST_IMAGES + 1), t)
        assert caught.value.message == t("play.too_many_images", count=MOST_IMAGES + 1)


def test_d6_what_nobody_imported_goes_after_a_day_and_the_rest_stays(workspace: Workspace):
    old, fresh = a_table(workspace), a_table(workspace)
    chat_images_folder(workspace).mkdir()
    for name in ("old.png", "fresh.png"):
        (chat_images_folder(workspace) / name).touch()
    long_ago = time.time() - KEEP_UPLOADS_S - 60
    of_visitor = workspace.uploads / "of-0123"
    for name in ("old", "fresh"):
        (of_visitor / name).mkdir(parents=True)
    for path in (
        old.folder,
        chat_images_folder(workspace),
        chat_images_folder(workspace) / "old.png",
        of_visitor / "old",
    ):
        os.utime(path, (long_ago, long_ago))

    remove_old_uploads(workspace)

    assert not old.folder.exists()
    assert fresh.folder.exists()
    assert [path.name for path in chat_images_folder(workspace).iterdir()] == ["fresh.png"]
    assert [path.name for path in of_visitor.iterdir()] == ["fresh"]
