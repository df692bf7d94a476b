"""The card that brings data in: the files, what they are, how they become a dataset; laid out."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from backend.datasets.job import DEFAULT_SHARE
from backend.datasets.upload import ANNOTATIONS, PICTURES
from studio.i18n import Translate
from studio.islands.data import import_report, upload_preview
from studio.islands.headings import card_head

ROLES = ("image", "question", "answer", "system")
MAX_NAME = 60


@dataclass(frozen=True, slots=True)
class Adding:
    """The components that bring data in."""

    files: gr.File
    box: gr.Column
    mapping: gr.Row
    roles: list[gr.Dropdown]
    name: gr.Textbox
    share: gr.Slider
    heldout: gr.File
    confirm: gr.Button
    preview: gr.HTML
    report: gr.HTML

    @property
    def shown(self) -> list[Any]:
        """What a look at an upload changes, in the order `inspect` returns it."""
        return [self.preview, self.box, self.mapping, *self.roles, self.name]


def adding_card(t: Translate) -> Adding:
    """Lay it out; what depends on an upload is hidden until there is one."""
    with gr.Column(elem_classes="card adding"):
        card_head(t("upload.title"))
        files = gr.File(
            label=t("upload.files"), show_label=False, file_count="multiple",
            file_types=[".zip", *ANNOTATIONS, *PICTURES], height=132, elem_id="upload-files",
        )  # fmt: skip
        gr.Markdown(t("upload.help"), elem_classes="hint")
        with gr.Column(visible=False, elem_classes="adding-box") as box:
            preview = upload_preview(t)
            with gr.Row(visible=False, elem_classes="knobs") as mapping:
                roles = [
                    gr.Dropdown([], label=t(f"upload.role.{role}"), info=t(f"upload.role.{role}.help"), min_width=180,
                                elem_id=f"role-{role}")
                    for role in ROLES
                ]  # fmt: skip
            with gr.Row(elem_classes="knobs"):
                name = gr.Textbox(
                    label=t("upload.name"), info=t("upload.name.help"), max_lines=1, max_length=MAX_NAME,
                    min_width=220, elem_id="dataset-name",
                )  # fmt: skip
                share = gr.Slider(
                    0, 0.5, DEFAULT_SHARE, step=0.01, label=t("upload.share"), info=t("upload.share.help"),
                    min_width=220, elem_id="heldout-share",
                )  # fmt: skip
            with gr.Accordion(t("upload.heldout"), open=False):
                heldout = gr.File(label=t("upload.heldout.file"), file_types=[".zip", *ANNOTATIONS], height=110,
                                  elem_id="heldout-file")  # fmt: skip
            confirm = gr.Button(t("upload.confirm"), variant="primary", elem_id="import")
        report = import_report(t)
    return Adding(files, box, mapping, roles, name, share, heldout, confirm, preview, report)
