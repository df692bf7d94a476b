"""The blind vote's part of the Playground: what to compare, the arena, the votes kept; laid out, then wired."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from studio.i18n import Translate
from studio.islands.headings import card_head
from studio.islands.playground import blind_vote, kept_list
from studio.planning.model_choices import present_choices
from studio.talking import blind
from studio.talking.blind import Pending
from studio.talking.blind_views import View, sessions_view
from studio.talking.keeping import asked_id, model_dropdown
from studio.talking.page import Page, show_mode
from studio.wiring import act, refresh, stream

MODELS = 2


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
    vote_id: gr.State
    pending: gr.State

    @property
    def stage(self) -> list[Any]:
        """What changes when another vote comes up."""
        return [self.vote_id, self.pending, self.shown, self.setup, self.arena, self.kept]

    def load(self, page: Page, *chosen: str | None) -> list[Any]:
        """Offer what is there now; at first the newest run against the first model."""
        offered = present_choices(page.services, page.t)
        models = chosen[:MODELS] if any(chosen[:MODELS]) else ([reference for _, reference in offered] + [""] * 2)[:2]
        found = page.services.datasets.manifests()
        names = [manifest.name for manifest in found]
        judged = [manifest.name for manifest in found if manifest.statistics.heldout_rows]
        dataset = chosen[MODELS] if chosen[MODELS] in names else next(iter(judged or names), None)
        return [*(model_dropdown(page, offered, model) for model in models),
                gr.Dropdown(choices=names, value=dataset)]  # fmt: skip

    def wire(self, page: Page, knobs: list[Any], link: gr.HTML, modes: list[Any]) -> list[Any]:
        """Wire it: one line per control. `link` opens a kept vote; `modes` as `show_mode` fills them.

        Returns:
            The events after which the tab is to be opened.
        """
        t, asked = page.t, [self.pending, self.shown]
        begun = act(self.start.click, partial(_begin, page), [*self.choices, *knobs], self.stage, t=t)
        voted = act(self.shown.voted, partial(_vote, page), [self.vote_id, *asked], asked, t=t)
        act(self.shown.reveal, partial(_reveal, page), self.vote_id, [*asked, self.kept], t=t)
        refresh(self.anew.click, partial(_set_up, page), None, self.stage)
        refresh(self.kept.shown, partial(_listed, page), None, self.kept)
        for trigger in (self.kept.shown, self.anew.click):
            refresh(trigger, partial(self.load, page), self.choices, self.choices)
        act(self.kept.remove, partial(_delete, page), [self.kept, self.vote_id, *asked], self.stage, t=t)
        taken = [
            act(trigger, partial(_open, page), asking, [*modes, *self.stage], t=t)
            for trigger, asking in ((link.blind, link), (self.kept.open, self.kept))
        ]
        for event in (begun, voted, *taken):  # each at once: one vote's models may be slow while another begins
            trigger = partial(event.success, trigger_mode="multiple")
            stream(trigger, partial(blind.next_question, page), self.vote_id, asked, t=t)
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
    return BlindPanel(box, setup, arena, choices, shown, kept, start, anew, gr.State(""), gr.State(None))


def _begin(page: Page, *values: Any) -> list[Any]:
    session = blind.begin(page, values[: MODELS + 1], values[MODELS + 1 :])
    return _staged(page, session.record.id, blind.state_view(page, session))


def _vote(page: Page, vote_id: str, pending: Pending | None, shown: View | None) -> list[Any]:
    view = blind.vote(page, vote_id, pending, shown)
    return [gr.skip(), gr.skip()] if view is None else [None, view]


def _reveal(page: Page, vote_id: str) -> list[Any]:
    return [None, blind.reveal(page, vote_id), _listed(page)]


def _open(page: Page, asked: View | None) -> list[Any]:
    """Show a kept blind vote. Raises NotFoundError where there is none of that id."""
    session = blind.found(page, asked_id(asked))
    return [*show_mode(is_blind=True), *_staged(page, session.record.id, blind.state_view(page, session))]


def _set_up(page: Page) -> list[Any]:
    """Back to what to compare; the vote that was under way stays under its link."""
    return ["", None, {}, gr.Column(visible=True), gr.Column(visible=False), _listed(page)]


def _staged(page: Page, vote_id: str, view: View) -> list[Any]:
    return [vote_id, None, view, gr.Column(visible=False), gr.Column(visible=True), _listed(page)]


def _listed(page: Page) -> View:
    return sessions_view(page, page.votes.newest())


def _delete(page: Page, kept: View | None, vote_id: str, pending: Pending | None, shown: View | None) -> list[Any]:
    """Remove a kept vote; where it is the one on the stage, go back to what to compare."""
    page.votes.delete(asked_id(kept))
    if asked_id(kept) == vote_id or not vote_id:
        return _set_up(page)
    return [vote_id, pending, shown or {}, gr.Column(visible=False), gr.Column(visible=True), _listed(page)]
