"""Headings of tabs and cards."""

import html

import gradio as gr


def page_head(title: str, about: str) -> gr.HTML:
    """The title of a tab and a sentence on what it is for."""
    return gr.HTML(f"<div class='ph'><h1>{html.escape(title)}</h1><p>{html.escape(about)}</p></div>")


def card_head(title: str, step: int = 0) -> gr.HTML:
    """The title of a card, with its number where the cards are a sequence."""
    number = f"<span class='step'>{step}</span>" if step else ""
    return gr.HTML(f"<h2 class='ct'>{number}{html.escape(title)}</h2>")
