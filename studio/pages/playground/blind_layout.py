"""The blind vote's part of the Playground: what to compare, the arena, the votes kept; laid out, then wired."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from backend.errors import NotFoundError
from studio.models import present_choices
from studio.pages.playground import blind
from studio.pages.playground.blind import Pending, part_judged
from studio.pages.playground.blind_views import View, sessions_view
from studio.pages.playground.components import blind_vote, kept_list
from studio.pages.playground.context import PlaygroundPage, show_mode
from studio.pages.playground.history import model_dropdown, requested_id
from studio.pages.playground.storage import BlindVote
from studio.ui.components import card_head
from studio.ui.events import act, refresh, stream
from studio.ui.i18n import Translate

MODELS = 2


@dataclass
class ShownVote:
    """Which blind vote a page shows. All its events share one: answers may come when another vote stands there."""

    vote_id: str = ""


@dataclass(frozen=True, slots=True)
class BlindPanel:
    """Its components; `arena` takes the place of `setup` while somebody votes."""

    box: gr.Column
    setup: gr.Column
    arena: gr.Column
    choices: list[Any]  # two models, a dataset; `load` fills them
    shown: gr.HTML
    kept: gr.HTML
    start: gr.Button
    anew: gr.Button
    seat: gr.State
    pending: gr.State

    @property
    def stage(self) -> list[Any]:
        """What changes when another vote comes up."""
        return [self.seat, self.pending, self.shown, self.setup, self.arena, self.kept]

    def load(self, page: PlaygroundPage, *chosen: str | None) -> list[Any]:
        """Offer what is there now; at first the newest run against the first model."""
        offered = present_choices(page.services, page.t)
        models = chosen[:MODELS] if any(chosen[:MODELS]) else ([reference for _, reference in offered] + [""] * 2)[:2]
        manifests = page.services.datasets.manifests()
        names = [manifest.name for manifest in manifests]
        judged = [manifest.name for manifest in manifests if part_judged(manifest.statistics)]
        dataset = chosen[MODELS] if chosen[MODELS] in names else next(iter(judged or names), None)
        return [*(model_dropdown(page, offered, model) for model in models),
                gr.Dropdown(choices=names, value=dataset)]  # fmt: skip

    def wire(self, page: PlaygroundPage, knobs: list[Any], link: gr.HTML, modes: list[Any]) -> list[Any]:
        """Wire it: one line per control. `link` opens a kept vote; `modes` as `show_mode` fills them.

        Returns:
            The events after which the tab is to be opened.
        """
        t, question = page.t, [self.pending, self.shown]
        begun = act(self.start.click, partial(begin, page), [self.seat, *self.choices, *knobs], self.stage, t=t)
        voted = act(self.shown.voted, partial(_vote, page), [self.seat, *question], question, t=t)
        act(self.shown.reveal, partial(_reveal, page), self.seat, [*question, self.kept], t=t)
        refresh(self.anew.click, partial(set_up, page), self.seat, self.stage)
        refresh(self.kept.shown, partial(_listed, page), None, self.kept)
        for trigger in (self.kept.shown, self.anew.click):
            refresh(trigger, partial(self.load, page), self.choices, self.choices)
        act(self.kept.remove, partial(_delete, page), [self.kept, self.seat, *question], self.stage, t=t)
        taken = [
            act(trigger, partial(open_vote, page), [self.seat, asking], [*modes, *self.stage], t=t)
            for trigger, asking in ((link.blind, link), (self.kept.open, self.kept))
        ]
        for event in (begun, voted, *taken):  # each at once: one vote's models may be slow while another begins
            trigger = partial(event.success, trigger_mode="multiple")
            stream(trigger, partial(questions, page), self.seat, question, t=t)
        return taken


def blind_panel(t: Translate) -> BlindPanel:
    """Lay it out, hidden."""
    with gr.Column(visible=False, elem_classes="stack") as box:
        with gr.Column(elem_classes="card") as setup:
            card_head(t("blind.setup"))
            gr.Markdown(t("blind.about"), elem_classes="hint")
            with gr.Row(elem_classes="knobs"):
                choices = [
                    *(gr.Dropdown([], label=t("play.model", number=number), elem_id=f"blind-model-{number}",
                                  min_width=200) for number in (1, 2)),
                    gr.Dropdown([], label=t("blind.dataset"), elem_id="blind-dataset", min_width=200),
                ]  # fmt: skip
            with gr.Row(elem_classes="actions"):
                start = gr.Button(t("blind.start"), size="sm", variant="primary", elem_id="blind-start")
        with gr.Column(visible=False, elem_classes="card") as arena:
            shown = blind_vote(t)
            with gr.Row(elem_classes="actions"):
                anew = gr.Button(t("blind.anew"), size="sm", elem_id="blind-anew")
        with gr.Column(elem_classes="card"):
            card_head(t("blind.kept"))
            kept = kept_list(t, "blind", elem_id="kept-votes")
    return BlindPanel(box, setup, arena, choices, shown, kept, start, anew, gr.State(ShownVote()), gr.State(None))


def begin(page: PlaygroundPage, seat: ShownVote, *values: Any) -> list[Any]:
    """Begin a blind vote between two models on a dataset, as the knobs say. Raises StudioError as `blind.begin`."""
    return _staged(page, seat, blind.begin(page, values[: MODELS + 1], values[MODELS + 1 :]))


def questions(page: PlaygroundPage, seat: ShownVote) -> Iterator[tuple[Pending | None, View]]:
    """Show the next question of the vote, and its answers if that vote is still the one that is shown.

    Raises:
        NotFoundError: the vote is gone.
    """
    vote_id = seat.vote_id
    try:
        with closing(blind.next_question(page, vote_id)) as steps:  # type: ignore[type-var]
            for step in steps:
                if seat.vote_id != vote_id:
                    return
                yield step
    except NotFoundError:
        if seat.vote_id == vote_id:
            raise


def _vote(page: PlaygroundPage, seat: ShownVote, pending: Pending | None, shown: View | None) -> list[Any]:
    view = blind.vote(page, seat.vote_id, pending, shown)
    return [gr.skip(), gr.skip()] if view is None else [None, view]


def _reveal(page: PlaygroundPage, seat: ShownVote) -> list[Any]:
    return [None, blind.reveal(page, seat.vote_id), _listed(page)]


def open_vote(page: PlaygroundPage, seat: ShownVote, question: View | None) -> list[Any]:
    """Show a kept blind vote. Raises NotFoundError where there is none of that id."""
    session = blind.find_vote(page, requested_id(question))
    return [*show_mode(is_blind=True), *_staged(page, seat, session)]


def set_up(page: PlaygroundPage, seat: ShownVote) -> list[Any]:
    """Back to what to compare; the vote that was under way stays under its link."""
    seat.vote_id = ""
    return [seat, None, {}, gr.Column(visible=True), gr.Column(visible=False), _listed(page)]


def _staged(page: PlaygroundPage, seat: ShownVote, session: BlindVote) -> list[Any]:
    seat.vote_id, view = session.record.id, blind.state_view(page, session)
    return [seat, None, view, gr.Column(visible=False), gr.Column(visible=True), _listed(page)]


def _listed(page: PlaygroundPage) -> View:
    return sessions_view(page, page.votes.newest())


def _delete(
    page: PlaygroundPage, kept: View | None, seat: ShownVote, pending: Pending | None, shown: View | None
) -> list[Any]:
    """Remove a kept vote; where it is the one on the stage, go back to what to compare."""
    page.votes.delete(requested_id(kept))
    if requested_id(kept) == seat.vote_id or not seat.vote_id:
        return set_up(page, seat)
    return [seat, pending, shown or {}, gr.Column(visible=False), gr.Column(visible=True), _listed(page)]
