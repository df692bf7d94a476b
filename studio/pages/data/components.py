"""The Data page's own components with the words they use, and the card that brings data in."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.conversation import SPLITS, Split
from backend.datasets.encodings import CANDIDATES
from backend.datasets.staging import DEFAULT_SHARE
from backend.datasets.upload import ANNOTATIONS, IMAGES
from studio.ui.components import bubble_words, card_head, island
from studio.ui.i18n import Translate

PARTS = ("images", "question", "choices", "context", "answer", "system", "split")  # fields of a `ColumnMapping`
SEVERAL = ("images", "choices", "context")  # those that several columns may play
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
    mapping: gr.Accordion
    parts: list[gr.Dropdown]
    table: gr.CheckboxGroup
    text_rows: gr.Checkbox
    encoding: gr.Dropdown
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
        return [self.preview, self.box, self.mapping, *self.parts, self.table, self.text_rows, self.encoding, self.name]

    @property
    def reading(self) -> list[Any]:
        """The controls that say how an upload is read, in the order `_options` of the layout takes them."""
        return [*self.parts, self.table, self.text_rows, self.encoding]


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
            table = gr.CheckboxGroup(
                [], label=t("upload.tables"), info=t("upload.tables.help"), elem_id="upload-tables"
            )
            with gr.Accordion(t("upload.columns"), open=False, elem_id="upload-columns") as mapping:
                gr.Markdown(t("upload.columns.help"), elem_classes="hint")
                with gr.Row(elem_classes="knobs"):
                    parts = [_part_dropdown(part, t) for part in PARTS]
            encoding = gr.Dropdown(
                encoding_choices(t),
                value="",
                label=t("upload.encoding"),
                info=t("upload.encoding.help"),
                visible=False,
                elem_id="upload-encoding",
            )
            text_rows = gr.Checkbox(
                label=t("upload.text_rows"), info=t("upload.text_rows.help"), visible=False, elem_id="text-rows"
            )
            with gr.Row(elem_classes="knobs"):
                name, share = _name_and_share(t)
            with gr.Accordion(t("upload.parts"), open=False):
                validation, test = _part_file("validation", t), _part_file("test", t)
            confirm = gr.Button(t("upload.confirm"), variant="primary", elem_id="import")
        report = import_report(t)
    return UploadCard(
        files, box, mapping, parts, table, text_rows, encoding, name, share, validation, test, confirm, preview, report
    )


def encoding_choices(t: Translate) -> list[tuple[str, str]]:
    """How text files may be encoded that are not Unicode; the empty one is as the studio judged."""
    return [(t("upload.encoding.judged"), ""), *((name, name) for name in CANDIDATES)]


def _part_dropdown(part: str, t: Translate) -> gr.Dropdown:
    return gr.Dropdown(
        [],
        label=t(f"upload.part.{part}"),
        info=t(f"upload.part.{part}.help"),
        multiselect=part in SEVERAL,
        min_width=200,
        elem_id=f"part-{part}",
    )


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
