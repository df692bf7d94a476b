"""Data: bring images and answers in, see what they became, hand them to training."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from backend.datasets.records import ColumnMapping, ImportReport, Inspection
from backend.datasets.store import ImportOptions
from backend.demo.datasets import DEMO_DATASETS
from backend.errors import DatasetError, StudioError
from backend.runs.folder import ACTIVE
from studio.pages.data.components import (
    MAX_NAME,
    PARTS,
    SEVERAL,
    dataset_list,
    dataset_rows,
    dataset_tiles,
    encoding_choices,
    upload_card,
)
from studio.pages.data.importing import StagedUpload, import_steps, stage
from studio.pages.data.views import card_view, inspection_view, report_view, tiles_view
from studio.services import Services
from studio.ui.components import card_head, page_head
from studio.ui.events import act, refresh, stream
from studio.ui.i18n import Translate
from studio.ui.shared_state import SharedState, TabRequest
from studio.ui.views import progress_view, refusal_view

Value = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DataPage:
    """What the handlers of this tab share."""

    services: Services
    t: Translate


def build(services: Services, shared: SharedState, t: Translate) -> None:
    """Lay out the tab, then wire it: one line per control."""
    page = DataPage(services, t)
    page_head(t("data.title"), t("data.about"))
    card = upload_card(t)
    with gr.Row(equal_height=False, elem_classes="data-columns"):
        with gr.Column(scale=4, min_width=280), gr.Column(elem_classes="card"):
            card_head(t("data.list"))
            listed = dataset_list(t)
        with gr.Column(scale=8, min_width=320):
            tiles, train, delete, confirmation = _chosen(t)
            with gr.Column(elem_classes="card rows-card"):
                rows = dataset_rows(t)
    upload = gr.State(None, time_to_live=86_400, delete_callback=_forget)
    chosen_outputs = [tiles, rows, train, delete, confirmation.box]

    inspect_outputs = [upload, card.report, *card.preview_outputs]
    act(card.files.upload, partial(inspect, page), [card.files, upload], inspect_outputs, t=t)
    refresh(card.files.clear, forget, upload, [upload, *card.preview_outputs])
    for control in card.reading:
        act(control.input, partial(read_again, page), [upload, *card.reading], [card.preview, card.text_rows], t=t)
    import_inputs = [upload, card.name, card.share, card.validation, card.test, *card.reading]
    done = stream(card.confirm.click, partial(import_upload, page), import_inputs, [card.report, listed], t=t)
    refresh(done.then, clear_imported, upload, [upload, card.files, card.validation, card.test, card.box])
    refresh(done.then, partial(show, page), listed, chosen_outputs)
    loaded = refresh(listed.shown, partial(load, page), listed, listed)
    refresh(loaded.then, partial(show, page), listed, chosen_outputs)
    refresh(listed.input, partial(show, page), listed, chosen_outputs)
    stream(listed.demo, partial(prepare_demo, page), listed, listed, t=t)
    act(train.click, partial(train_on, page), listed, shared.dataset, t=t)
    act(delete.click, partial(ask_to_delete, page), listed, [confirmation.question, confirmation.box], t=t)
    refresh(confirmation.no.click, hide_question, None, confirmation.box)
    deleted = act(confirmation.yes.click, partial(delete_dataset, page), listed, listed, t=t)
    refresh(deleted.then, partial(show, page), listed, chosen_outputs)


@dataclass(frozen=True, slots=True)
class DeleteConfirmation:
    """The question before a dataset is deleted."""

    box: gr.Column
    question: gr.Textbox
    yes: gr.Button
    no: gr.Button


def _chosen(t: Translate) -> tuple[gr.HTML, gr.Button, gr.Button, DeleteConfirmation]:
    with gr.Column(elem_classes="card"):
        tiles = dataset_tiles(t)
        with gr.Row(elem_classes="actions"):
            train = gr.Button(t("data.train"), variant="primary", size="sm", visible=False, elem_id="train-on-this")
            delete = gr.Button(t("data.delete"), variant="stop", size="sm", visible=False, elem_id="dataset-delete")
        with gr.Column(visible=False, elem_classes="sure") as box:
            question = gr.Textbox(
                show_label=False, container=False, interactive=False, lines=1, max_lines=4, elem_id="dataset-question"
            )
            with gr.Row(elem_classes="actions"):
                yes = gr.Button(t("data.delete_yes"), size="sm", variant="stop", elem_id="dataset-delete-yes")
                no = gr.Button(t("data.delete_no"), size="sm", elem_id="dataset-delete-no")
    return tiles, train, delete, DeleteConfirmation(box, question, yes, no)


def inspect(page: DataPage, paths: list[str] | None, previous: StagedUpload | None) -> list[Any]:
    """Look at what was uploaded instead of what was `before`. A refusal is told in the report, not as a toast."""
    _forget(previous)
    if not paths:
        return [None, {}, *_hidden()]
    upload = None
    try:
        upload = stage(page.services.workspace, paths, page.t)
        inspection = page.services.datasets.inspect(upload.source)
    except StudioError as error:
        _forget(upload)
        return [None, refusal_view(error, page.t), *_hidden()]
    return [
        upload,
        {},
        inspection_view(inspection, page.t),
        gr.Column(visible=True),
        gr.Accordion(open=inspection.layout is None),
        *_part_choices(page, inspection),
        _table_choices(inspection),
        gr.Checkbox(value=False, visible=inspection.is_without_images),
        gr.Dropdown(choices=encoding_choices(page.t), value="", visible=bool(inspection.encodings)),
        upload.suggested_name[:MAX_NAME],
    ]


def read_again(page: DataPage, upload: StagedUpload | None, *reading: Any) -> list[Any]:
    """Show the first rows as the chosen files and columns make them."""
    staged = _staged(page, upload)
    options = _changed_options(page, staged, reading)
    inspection = page.services.datasets.inspect(staged.source, options)
    return [inspection_view(inspection, page.t), gr.Checkbox(visible=inspection.is_without_images or options.text_rows)]


def import_upload(
    page: DataPage, upload: StagedUpload | None, name: str, share: float, *given: Any
) -> Iterator[list[Any]]:
    """Import, telling how far it is; at the end the report, and the new dataset chosen in the list.

    `given` are the files of validation and of test rows, then what the controls say of how it is read.
    """
    validation, test, *reading = given
    staged = _staged(page, upload)
    options = replace(
        _changed_options(page, staged, tuple(reading)),
        name=name.strip(),
        validation=Path(validation) if validation else None,
        test=Path(test) if test else None,
        validation_share=share,
    )
    try:
        for step in import_steps(page.services.datasets, staged, options):
            if isinstance(step, ImportReport):
                yield [report_view(step, page.t), load(page, {"chosen": step.manifest.name}) | {"is_new": True}]
            else:
                yield [progress_view(step, page.t), gr.skip()]
    except StudioError as error:
        yield [refusal_view(error, page.t), gr.skip()]


def clear_imported(upload: StagedUpload | None) -> list[Any]:
    """Make room for the next upload once this one is a dataset; one that was refused, or came meanwhile, stays."""
    if upload is None or upload.is_here or upload.is_taken:
        return [gr.skip()] * 5
    return [None, None, None, None, gr.Column(visible=False)]


def load(page: DataPage, listed: Value | None) -> Value:
    """List the datasets that are there now; where none is chosen, choose the newest."""
    store, manifests = page.services.datasets, page.services.datasets.manifests()
    names = [manifest.name for manifest in manifests]
    chosen = _name(listed)
    return {
        "datasets": [card_view(store, manifest, page.t) for manifest in manifests],
        "chosen": chosen if chosen in names else next(iter(names), ""),
        "choice": (listed or {}).get("choice", 0),
        "preparing": page.services.demo.is_preparing,
        "can_demo": not {demo.name for demo in DEMO_DATASETS} <= set(names),
    }


def show(page: DataPage, listed: Value | None) -> list[Any]:
    """Show the chosen dataset; one that is gone meanwhile shows as none chosen."""
    name = _name(listed)
    try:
        manifest = page.services.datasets.get(name)
    except StudioError:
        return [{}, {}, gr.Button(visible=False), gr.Button(visible=False), gr.Column(visible=False)]
    view, rows = tiles_view(manifest, page.t), {"name": manifest.name, "sha256": manifest.sha256}
    return [view, rows, gr.Button(visible=True), gr.Button(visible=True), gr.Column(visible=False)]


def prepare_demo(page: DataPage, listed: Value | None) -> Iterator[Value]:
    """Draw the demo datasets that are missing. Raises StudioError."""
    yield load(page, listed) | {"preparing": True}
    page.services.demo.prepare()
    yield load(page, listed)


def train_on(page: DataPage, listed: Value | None) -> TabRequest:
    """Ask that Train takes the chosen dataset."""
    return page.services.datasets.get(_name(listed)).name, time.time()


def ask_to_delete(page: DataPage, listed: Value | None) -> tuple[str, Any]:
    """Ask once more, naming what would be lost."""
    manifest = page.services.datasets.get(_name(listed))
    question = page.t("data.delete_sure", name=manifest.name, rows=f"{manifest.statistics.rows:,}")
    return question, gr.Column(visible=True)


def delete_dataset(page: DataPage, listed: Value | None) -> Value:
    """Delete the chosen dataset for good. Raises StudioError where it is used or gone."""
    name = page.services.datasets.get(_name(listed)).name
    unfinished_runs = page.services.runs.views(states=("queued", *ACTIVE))
    run_names = [view.name for view in unfinished_runs if name in {share.name for share in view.spec.data.datasets}]
    if run_names:
        message = page.t("data.in_use", name=name, runs=", ".join(run_names))
        raise DatasetError(message, hint=page.t("data.in_use.hint"))
    page.services.datasets.delete(name)
    return load(page, listed)


def hide_question() -> Any:
    """Put the question away."""
    return gr.Column(visible=False)


def forget(upload: StagedUpload | None) -> list[Any]:
    """Drop an upload that will not be imported."""
    _forget(upload)
    return [None, *_hidden()]


def _forget(upload: StagedUpload | None) -> None:
    if upload is not None:
        upload.remove()


def _hidden() -> list[Any]:
    return [{}, gr.Column(visible=False), gr.skip(), *[gr.skip()] * (len(PARTS) + 3), ""]


def _part_choices(page: DataPage, inspection: Inspection) -> list[gr.Dropdown]:
    columns = [(column, column) for column in inspection.columns]
    none = [(page.t("upload.part.none"), "")]
    dropdowns = []
    for part in PARTS:
        chosen, is_list = getattr(inspection.suggestion, part), part in SEVERAL
        choices, value = (columns, list(chosen)) if is_list else (none + columns, chosen)
        dropdowns.append(gr.Dropdown(choices=choices, value=value, multiselect=is_list))
    return dropdowns


def _table_choices(inspection: Inspection) -> gr.CheckboxGroup:
    """The files that hold rows, all ticked; not shown where there is one."""
    choices = [(f"{name} ({rows:,})", name) for name, rows in inspection.files]
    return gr.CheckboxGroup(choices=choices, value=[name for _, name in choices], visible=len(choices) > 1)


def _options(reading: tuple[Any, ...]) -> ImportOptions:
    """How the controls of the card say that an upload is read."""
    *columns, files, text_rows, encoding = reading
    parts: dict[str, Any] = {
        part: tuple(value or ()) if part in SEVERAL else value or "" for part, value in zip(PARTS, columns, strict=True)
    }
    return ImportOptions(
        mapping=ColumnMapping(**parts), files=tuple(files or ()), text_rows=bool(text_rows), encoding=encoding or ""
    )


def _changed_options(page: DataPage, upload: StagedUpload, reading: tuple[Any, ...]) -> ImportOptions:
    """The same, with each file's columns judged for itself as long as nobody changed them."""
    options = _options(reading)
    suggested = page.services.datasets.inspect(upload.source, replace(options, mapping=None)).suggestion
    same = all(getattr(suggested, part) == getattr(options.mapping, part) for part in PARTS)
    return replace(options, mapping=None) if same else options


def _staged(page: DataPage, upload: StagedUpload | None) -> StagedUpload:
    if upload is not None and upload.is_taken:
        raise DatasetError(page.t("upload.taken"), hint=page.t("upload.taken.hint"))
    if upload is None or not upload.is_here:
        raise DatasetError(page.t("upload.gone"), hint=page.t("upload.gone.hint"))
    return upload


def _name(listed: Value | None) -> str:
    return str((listed or {}).get("chosen", ""))
