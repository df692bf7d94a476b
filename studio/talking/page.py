"""What the handlers of the Playground share, and the links that lead into it."""

import time
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr

from studio.i18n import Translate
from studio.services import Services
from studio.talking.kept_talks import TalkStore
from studio.talking.kept_votes import VoteStore

COLUMNS = 3
LinkKind = Literal["talk", "blind"]
Link = tuple[LinkKind, str, float]  # what to open, its id, and when that was wished: the same link twice is two wishes


@dataclass(frozen=True, slots=True)
class Page:
    """The studio's services, the page's language, and what was said and judged before."""

    services: Services
    t: Translate
    talks: TalkStore
    votes: VoteStore

    def moment(self, seconds: float) -> str:
        """When something was, as lists say it."""
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def open_page(services: Services, t: Translate) -> Page:
    """What the handlers of one language's page get."""
    return Page(services, t, TalkStore(services.workspace), VoteStore(services.workspace))


def link_of(request: gr.Request) -> Link | None:
    """What the page's address asks for: `?talk=<id>` or `?blind=<id>`."""
    kinds: tuple[LinkKind, ...] = ("talk", "blind")
    for kind in kinds:
        wanted = request.query_params.get(kind)
        if wanted:
            return kind, str(wanted), time.time()
    return None


def show_mode(*, is_blind: bool) -> list[Any]:
    """The switch, the cards of open comparison above and below the knobs, then those of a blind vote."""
    return [is_blind, gr.Column(visible=not is_blind), gr.Column(visible=not is_blind), gr.Column(visible=is_blind)]
