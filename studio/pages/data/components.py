"""The Data page's own components with the words they use, and the card that brings data in."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.conversation import SPLITS, Split
from backend.datasets.staging import DEFAULT_SHARE
from backend.datasets.upload import ANNOTATIONS, IMAGES
from studio.ui.components import bubble_words, card_head, island
from studio.ui.i18n import Translate

ROLES = ("image", "question", "answer", "system")
MAX_NAME = 60


def dataset_list(t: Translate) -> gr.HTML:
    """Choose among the datasets. Value: {datasets, chosen, choice, preparing, can_demo}."""
    words = {key: t(f"data.{key}") for key in ("none", "none_help", "demo", "preparing")}
    return island("datasetList", "data.js", words, ("input", "demo", "shown"), value={}, elem_id="dataset-list")


def dataset_tiles(t: Translate) -> gr.HTML:
    """The chosen dataset in numbers."""
    words = {key: t(f"data.{key}") for key in ("choose", "choose_help", "answers", "csv")}
    return island("datasetTiles", "data.js", words, value={}, elem_id="dataset-tiles")


def dataset_rows(t: Translate) -> gr.HTML:
    """The chosen dataset's rows; they are fetched by the browser. Value: {name, sha256}."""
    keys = (
        "title",
        "search",
        "sides",
        "side.all",
        "side.train",
        "side.validation",
        "side.test",
        "back",
        "next",
        "where",
        "none",
        "unreached",
    )
    words = {key: t(f"rows.{key}") for key in keys} | bubble_words(t)
    return island("datasetRows", "data.js", words, value={}, elem_id="dataset-rows")


def upload_preview(t: Translate) -> gr.HTML:
    """An upload before it is imported."""
    parts = {f"side.{split}": t(f"rows.side.{split}") for split in SPLITS}
    words = {key: t(f"upload.{key}") for key in ("first_rows", "as_imported")} | parts | bubble_words(t)
    return island("uploadPreview", "data.js", words, value={}, elem_id="upload-preview")


def import_report(t: Translate) -> gr.HTML:
    """How far an import is, then what it did."""
    words = {"problems": t("report.problems"), "csv": t("data.csv")} | bubble_words(t)
    return island("importReport", "data.js", words, value={}, elem_id="import-report")


@dataclass(frozen=True, slots=True)
class UploadCard:
    """The components that bring data in."""

    files: gr.File
    box: gr.Column
    mapping: gr.Row
    roles: list[gr.Dropdown]
    name: gr.Textbox
    share: gr.Slider
    validation: gr.File
    test: gr.File
    confirm: gr.Button
    preview: gr.HTML
    report: gr.HTML

    @property
    def preview_outputs(self) -> list[Any]:
        """What a look at an upload changes, in the order `inspect` returns it."""
        return [self.preview, self.box, self.mapping, *self.roles, self.name]


def upload_card(t: Translate) -> UploadCard:
    """Lay it out; what depends on an upload is hidden until there is one."""
    with gr.Column(elem_classes="card adding"):
        card_head(t("upload.title"))
        files = gr.File(
            label=t("upload.files"),
            show_label=False,
            file_count="multiple",
            file_types=[".zip", *ANNOTATIONS, *IMAGES],
            height=132,
            elem_id="upload-files",
        )
        gr.Markdown(t("upload.help"), elem_classes="hint")
        with gr.Column(visible=False, elem_classes="adding-box") as box:
            preview = upload_preview(t)
            with gr.Row(visible=False, elem_classes="knobs") as mapping:
                roles = [_role_dropdown(role, t) for role in ROLES]
            with gr.Row(elem_classes="knobs"):
                name, share = _name_and_share(t)
            with gr.Accordion(t("upload.parts"), open=False):
                validation, test = _part_file("validation", t), _part_file("test", t)
            confirm = gr.Button(t("upload.confirm"), variant="primary", elem_id="import")
        report = import_report(t)
    return UploadCard(files, box, mapping, roles, name, share, validation, test, confirm, preview, report)


def _role_dropdown(role: str, t: Translate) -> gr.Dropdown:
    label, info = t(f"upload.role.{role}"), t(f"upload.role.{role}.help")
    return gr.Dropdown([], label=label, info=info, min_width=180, elem_id=f"role-{role}")


def _part_file(part: Split, t: Translate) -> gr.File:
    return gr.File(
        label=t(f"upload.{part}.file"), file_types=[".zip", *ANNOTATIONS], height=110, elem_id=f"{part}-file"
    )


def _name_and_share(t: Translate) -> tuple[gr.Textbox, gr.Slider]:
    name = gr.Textbox(
        label=t("upload.name"),
        info=t("upload.name.help"),
        max_lines=1,
        max_length=MAX_NAME,
        min_width=220,
        elem_id="dataset-name",
    )
    share = gr.Slider(
        0,
        0.5,
        DEFAULT_SHARE,
        step=0.01,
        label=t("upload.share"),
        info=t("upload.share.help"),
        min_width=220,
        elem_id="validation-share",
    )
    return name, share
