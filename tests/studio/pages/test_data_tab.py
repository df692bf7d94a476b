"""The Data tab's handlers: an upload that is replaced, one that comes while another is imported, rows that changed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import pytest

from backend.datasets.editing import Edits
from backend.errors import DatasetError
from backend.settings import Workspace
from studio.pages.data import layout as data
from studio.pages.data.importing import StagedUpload
from studio.services import build_services
from studio.ui.i18n import LANGUAGES, translator

READING = ([], "question", [], [], "answer", "", "", [], False, "")  # the parts of columns, files, rows without images


@pytest.fixture(params=LANGUAGES)
def page(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[data.DataPage]:
    workspace = Workspace(tmp_path)
    workspace.prepare()
    services = build_services(workspace)
    yield data.DataPage(services, translator(request.param))
    services.runs.close()


def sent(page: data.DataPage, name: str, answer: str) -> str:
    """A table as Gradio keeps it: in a folder named by its content."""
    content = f"question,answer\nWhat?,{answer}\nAnd?,that\n"
    folder = page.services.workspace.uploads / hashlib.sha256((name + content).encode()).hexdigest()
    folder.mkdir()
    (folder / name).write_text(content)
    return str(folder / name)


def looked_at(page: data.DataPage, name: str, before: StagedUpload | None = None) -> StagedUpload:
    upload = data.inspect(page, [sent(page, f"{name}.csv", name)], before)[0]
    assert upload.is_here
    return upload


def test_an_upload_that_another_one_replaces_is_removed(page: data.DataPage):
    first = looked_at(page, "first")
    second = looked_at(page, "second", first)

    assert not first.is_here
    assert data.inspect(page, [], second)[0] is None
    assert not list(page.services.workspace.uploads.glob("import*"))


def test_two_files_of_one_name_are_told_in_the_report_and_in_the_language_of_the_page(page: data.DataPage):
    upload, report, *_ = data.inspect(page, [sent(page, "a.csv", "x"), sent(page, "a.csv", "y")], None)

    assert upload is None
    assert report["lines"] == [page.t("upload.same_name", name="a.csv"), page.t("upload.same_name.hint")]


def test_the_end_of_an_import_leaves_alone_what_was_uploaded_meanwhile(page: data.DataPage):
    first = looked_at(page, "first")
    steps = data.import_upload(page, first, "first", 0.1, None, None, *READING)
    next(steps)
    second = looked_at(page, "second", first)
    *_, (report, listed) = steps

    assert (report["kind"], listed["chosen"]) == ("good", "first")
    assert data.clear_imported(second) == [gr.skip()] * 5
    assert data.clear_imported(None) == [gr.skip()] * 5
    assert data.clear_imported(first)[:4] == [None] * 4
    *_, (report, listed) = data.import_upload(page, second, "second", 0.1, None, None, *READING)
    assert listed["chosen"] == "second"


def test_what_is_being_imported_is_not_called_gone(page: data.DataPage):
    upload = looked_at(page, "first")
    upload.take()

    with pytest.raises(DatasetError) as caught:
        data.read_again(page, upload, *READING)
    assert caught.value.message == page.t("upload.taken")

    upload.give_back()
    upload.remove()
    with pytest.raises(DatasetError) as caught:
        data.read_again(page, upload, *READING)
    assert caught.value.message == page.t("upload.gone")


def test_a_refused_import_leaves_its_upload_to_be_tried_again(page: data.DataPage):
    list(data.import_upload(page, looked_at(page, "first"), "taken", 0.1, None, None, *READING))
    other = looked_at(page, "other")

    *_, (report, listed) = data.import_upload(page, other, "taken", 0.1, None, None, *READING)

    assert (report["kind"], listed) == ("bad", gr.skip())
    assert data.clear_imported(other) == [gr.skip()] * 5


def test_the_rows_are_shown_anew_where_the_dataset_of_that_name_has_changed(page: data.DataPage):
    list(data.import_upload(page, looked_at(page, "first"), "first", 0.1, None, None, *READING))
    before = data.show(page, {"chosen": "first"})[1]

    row = next(iter(page.services.datasets.rows("first"))).id
    changed = page.services.datasets.apply_edits("first", Edits({row: "mended"}))

    assert data.show(page, {"chosen": "first"})[1] == {"name": "first", "sha256": changed.sha256} != before
    assert data.show(page, {"chosen": "gone"})[1] == {}
