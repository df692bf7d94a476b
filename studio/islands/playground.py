"""The Playground's own components and the words they use. Their values come from `talks`."""

import gradio as gr

from studio.i18n import Translate
from studio.islands.data import bubble_words
from studio.islands.island import island


def answers(t: Translate, number: int) -> gr.HTML:
    """One model's conversation. Value: as `Talk.view` makes it."""
    words = {key: t(f"play.{key}") for key in ("empty", "empty_help", "failed", "thinking")} | bubble_words(t)
    words["label"] = t("play.model", number=number)
    return island("answers", "playground.js", words, ("shown",), value={}, elem_id=f"answers-{number}")


def picture_strip(t: Translate) -> gr.HTML:
    """Pictures to ask about. Value: {pictures, clicked}."""
    words = {key: t(f"play.strip.{key}") for key in ("label", "use", "none")}
    return island("pictureStrip", "playground.js", words, ("input",), value={}, elem_id="picture-strip")
