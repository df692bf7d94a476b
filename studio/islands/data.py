"""The Data page's own components and the words they use. Their values come from `dataset_views`."""

import gradio as gr

from studio.i18n import Translate
from studio.islands.island import island

BUBBLE_WORDS = ("user", "assistant", "system", "picture", "enlarge", "blank", "examples")


def bubble_words(t: Translate) -> dict[str, str]:
    """What conversations say besides their own text."""
    return {key: t(f"bubble.{key}") for key in BUBBLE_WORDS}


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
        "side.heldout",
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
    words = {key: t(f"upload.{key}") for key in ("first_rows", "as_imported")} | bubble_words(t)
    return island("uploadPreview", "data.js", words, value={}, elem_id="upload-preview")


def import_report(t: Translate) -> gr.HTML:
    """How far an import is, then what it did."""
    words = {"problems": t("report.problems"), "csv": t("data.csv")} | bubble_words(t)
    return island("importReport", "data.js", words, value={}, elem_id="import-report")
