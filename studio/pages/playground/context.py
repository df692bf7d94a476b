"""What the handlers of the Playground share."""

import time
from dataclasses import dataclass
from typing import Any

import gradio as gr

from studio.pages.playground.storage import TalkStore, VoteStore
from studio.services import Services
from studio.ui.i18n import Translate

COLUMNS = 3


@dataclass(frozen=True, slots=True)
class PlaygroundPage:
    """The studio's services, the page's language, and what was said and judged before."""

    services: Services
    t: Translate
    talks: TalkStore
    votes: VoteStore

    def moment(self, seconds: float) -> str:
        """When something was, as lists say it."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def open_page(services: Services, t: Translate) -> PlaygroundPage:
    """What the handlers of one language's page get."""
    return PlaygroundPage(services, t, TalkStore(services.workspace), VoteStore(services.workspace))


def show_mode(*, is_blind: bool) -> list[Any]:
    """The switch, the cards of open comparison above and below the knobs, then those of a blind vote."""
    return [is_blind, gr.Column(visible=not is_blind), gr.Column(visible=not is_blind), gr.Column(visible=is_blind)]
