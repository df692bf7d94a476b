"""A blind vote: rows no run learned from, two answers a time in an order nobody sees, a verdict to be looked at always.

Until the names are shown, nothing that reaches a browser tells which model stands where: no name, no order, no tally by
model. Two models and not three, because the verdict's p is of one pair; three would be three pairs and three verdicts.
"""

import logging
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from backend.conversation import PLACEHOLDER, Row, Split
from backend.datasets.records import Statistics
from backend.errors import NotFoundError, SpecError, StudioError
from launcher.chat import ChatRequest
from studio.pages.playground.blind_views import (
    View,
    question_turns,
    question_view,
    revealed_view,
    stuck_view,
    waiting_view,
)
from studio.pages.playground.context import PlaygroundPage
from studio.pages.playground.conversation import refuse_gone
from studio.pages.playground.settings import settings_of
from studio.pages.playground.storage import BlindVote, BlindVoteRecord, RevealRecord, Side, VoteId, VoteRecord, new_id

_SIDES: tuple[Side, ...] = ("left", "right", "tie", "skip")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """The question that is being judged. Stays on the server: it says who stands where."""

    vote_id: str  # whose question it is
    number: int
    question: str  # the row's id
    order: tuple[int, int]
    answers: tuple[str, str] | None  # left, right; None where a model could not answer


def begin(page: PlaygroundPage, choice: tuple[Any, ...], knobs: tuple[Any, ...]) -> BlindVote:
    """Begin a blind vote between two models on a dataset's validation or test rows, and keep its first line.

    Raises:
        StudioError: fewer than two models, a dataset without such rows, a knob that is out of range.
    """
    first, second, dataset = choice
    if not first or not second or first == second:
        raise SpecError(page.t("blind.two_models"), hint=page.t("blind.two_models.hint"))
    refuse_gone(page, first)
    refuse_gone(page, second)
    if not dataset:
        raise SpecError(page.t("problem.no_dataset"), hint=page.t("train.empty.help"))
    counts = page.services.datasets.get(dataset).statistics
    part = part_judged(counts)
    if part is None:
        raise SpecError(page.t("blind.no_rows", dataset=dataset), hint=page.t("blind.no_rows.hint"))
    chance = random.SystemRandom()
    record = BlindVoteRecord(
        id=VoteId(new_id()), begun_at=time.time(), models=(first, second), dataset=dataset,
        questions=counts.rows_of(part), seed=chance.randrange(2**31), settings=settings_of(knobs, page.t),
    )  # fmt: skip
    page.votes.begin(record)
    return BlindVote(record, (), is_revealed=False)


def part_judged(counts: Statistics) -> Split | None:
    """The part of a dataset that people judge answers to: validation, else test; None where it has neither."""
    parts: tuple[Split, ...] = ("validation", "test")
    return next((part for part in parts if counts.rows_of(part)), None)


def find_vote(page: PlaygroundPage, vote_id: object) -> BlindVote:
    """Read a blind vote. Raises NotFoundError where there is none under that id."""
    session = page.votes.find(vote_id)
    if not isinstance(session, BlindVote):
        raise NotFoundError(page.t(f"blind.vote_{session}"), hint=page.t("play.talk_hint"))
    return session


def next_question(page: PlaygroundPage, vote_id: str) -> Iterator[tuple[Pending | None, View]]:
    """Show that both models read the next question, then their answers, both at once: who was quicker says nothing."""
    session = find_vote(page, vote_id)
    number = len(session.votes)
    if session.is_revealed or number >= session.record.questions:
        yield None, state_view(page, session)
        return
    try:
        row = _row(page, session.record, number)
    except StudioError as error:  # the dataset is gone, or was imported anew
        yield None, stuck_view(page, session, error)
        return
    yield None, waiting_view(page, session, row)
    order = order_of(session.record, number)
    answers = _answers(page, session.record, row, order)
    now = find_vote(page, vote_id)  # another window may have voted, or shown the names, meanwhile
    if now.is_revealed or len(now.votes) != number:
        yield None, state_view(page, now)
        return
    yield Pending(vote_id, number, row.id, order, answers), question_view(page, session, row, answers)


def vote(page: PlaygroundPage, vote_id: str, pending: Pending | None, shown: View | None) -> View | None:
    """Keep one vote; None where it is not of the question that is being judged. Raises StudioError and OSError."""
    session, clicked = find_vote(page, vote_id), shown or {}
    side = next((side for side in _SIDES if side == clicked.get("vote")), None)
    is_ours = pending is not None and pending.vote_id == vote_id == clicked.get("id")
    is_current = is_ours and pending is not None and clicked.get("number") == pending.number == len(session.votes)
    if pending is None or side is None or not is_current or session.is_revealed:
        return None
    if pending.answers is None:
        side = "skip"  # there was nothing to judge
    line = VoteRecord(
        question=pending.question, order=pending.order, vote=side, answers=pending.answers or ("", ""),
        voted_at=time.time(),
    )  # fmt: skip
    page.votes.add(session, line)
    return waiting_view(page, find_vote(page, vote_id), None)


def reveal(page: PlaygroundPage, vote_id: str) -> View:
    """End a blind vote, and say who stood where. Raises StudioError and OSError."""
    session = find_vote(page, vote_id)
    if not session.is_revealed:
        page.votes.add(session, RevealRecord(revealed_at=time.time()))
    return revealed_view(page, find_vote(page, vote_id))


def state_view(page: PlaygroundPage, session: BlindVote) -> View:
    """A blind vote without a question: ended, or at its last one."""
    if session.is_revealed:
        return revealed_view(page, session)
    is_done = len(session.votes) >= session.record.questions
    return waiting_view(page, session, None) | ({"state": "done"} if is_done else {})


def order_of(record: BlindVoteRecord, number: int) -> tuple[int, int]:
    """Which model stands left and which right at a question: drawn for each, again the same from the record's seed."""
    return (0, 1) if random.Random(f"{record.seed}:{number}").random() < 0.5 else (1, 0)


def place_of(record: BlindVoteRecord, number: int) -> int:
    """Which of the rows is asked as the `number`-th: every one once, in an order of the record's seed."""
    return random.Random(record.seed).sample(range(record.questions), record.questions)[number]


def _row(page: PlaygroundPage, record: BlindVoteRecord, number: int) -> Row:
    place = place_of(record, number)
    datasets = page.services.datasets
    part = part_judged(datasets.get(record.dataset).statistics)
    rows = datasets.page(record.dataset, start=place, count=1, split=part).rows if part else ()
    if not rows:
        raise NotFoundError(page.t("blind.changed", dataset=record.dataset), hint=page.t("blind.changed.hint"))
    return rows[0]


def _answers(page: PlaygroundPage, record: BlindVoteRecord, row: Row, order: tuple[int, int]) -> tuple[str, str] | None:
    """Both answers, left first; None where one fails: the reason could name the model, so only the log has it."""
    turns = question_turns(row)
    images = row.images[: sum(turn.content.count(PLACEHOLDER) for turn in turns)]

    def answer(model: str) -> str:
        refuse_gone(page, model)
        paths = tuple(page.services.datasets.image(record.dataset, name) for name in images)
        with closing(page.services.chats.ask(ChatRequest(model, turns, paths, record.settings))) as pieces:  # type: ignore[type-var]
            return "".join(piece.text for piece in pieces)

    try:
        with ThreadPoolExecutor(2) as both:
            left, right = both.map(answer, [record.models[place] for place in order])
    except StudioError as error:
        _log.warning("blind vote %s: a model did not answer: %s", record.id, error)
        return None
    return left, right
