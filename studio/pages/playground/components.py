"""The Playground's own components and the words they use. Their values come from `studio.talking`."""

import gradio as gr

from studio.ui.components import bubble_words, island
from studio.ui.i18n import Translate


def answers(t: Translate, number: int) -> gr.HTML:
    """One model's conversation. Value: as `Talk.view` makes it."""
    words = {key: t(f"play.{key}") for key in ("empty", "empty_help", "failed", "thinking")} | bubble_words(t)
    words["label"] = t("play.model", number=number)
    return island("answers", "playground.js", words, ("shown",), value={}, elem_id=f"answers-{number}")


def image_strip(t: Translate) -> gr.HTML:
    """Images to ask about. Value: {images, clicked}."""
    words = {key: t(f"play.strip.{key}") for key in ("label", "use", "none")}
    return island("imageStrip", "playground.js", words, ("input",), value={}, elem_id="image-strip")


def talk_link(t: Translate) -> gr.HTML:
    """Where the conversation is kept, with a button that copies its link. Value: {id, said}, {failure} or {}."""
    words = {key: t(f"play.link.{key}") for key in ("copy", "copied")}
    return island("talkLink", "playground.js", words, value={}, elem_id="talk-link")


def kept_list(t: Translate, place: str, *, elem_id: str) -> gr.HTML:
    """What was kept, to be opened or deleted; `place` is `play` or `blind`. Value: {items, clicked}."""
    words = {key: t(f"play.kept.{key}") for key in ("open", "delete", "sure")}
    words |= {"label": t(f"{place}.kept"), "none": t(f"{place}.kept.none")}
    return island("keptList", "playground.js", words, ("open", "remove", "shown"), value={}, elem_id=elem_id)


def blind_vote(t: Translate) -> gr.HTML:
    """One question, two answers, the vote. Value: as `studio.pages.playground.blind` makes it, and {vote}."""
    keys = ("left", "right", "keys", "reveal", "reveal_help", "thinking", "failed", "failed_help", "done", "stuck",
            "votes", "won", "ties", "judged", "arena")  # fmt: skip
    words = {key: t(f"blind.{key}") for key in keys} | bubble_words(t)
    words |= {f"vote.{side}": t(f"blind.vote.{side}") for side in ("left", "right", "tie", "skip")}
    words |= {key: t(f"play.link.{key}") for key in ("copy", "copied")}
    return island("blindVote", "playground.js", words, ("voted", "reveal"), value={}, elem_id="blind-vote")
