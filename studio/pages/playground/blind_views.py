"""A blind vote as the page shows it: without a name until the names are shown, and then with all of them."""

from itertools import takewhile
from typing import Any

from backend.conversation import PLACEHOLDER, Message, Row
from backend.errors import StudioError
from backend.metrics.preference import preference
from studio.models import present_choices
from studio.pages.playground.context import PlaygroundPage
from studio.pages.playground.storage import BlindVote
from studio.ui.views import turns_view

View = dict[str, Any]


def waiting_view(page: PlaygroundPage, session: BlindVote, row: Row | None) -> View:
    """While both models read a question; without `row` while the next one is looked up."""
    return _common(page, session) | {"state": "asking", "turns": _turns(session, row) if row else []}


def question_view(page: PlaygroundPage, session: BlindVote, row: Row, answers: tuple[str, str] | None) -> View:
    """A question with both answers, left first; None where a model could not answer."""
    shown = _common(page, session) | {"turns": _turns(session, row)}
    if answers is None:
        return shown | {"state": "failed"}
    return shown | {"state": "ready", "left": answers[0], "right": answers[1]}


def revealed_view(page: PlaygroundPage, session: BlindVote) -> View:
    """Who is compared, who won how often, and how sure that is."""
    t, verdicts = page.t, session.verdicts
    names = _names(page, session)
    won = {side: verdicts.count(side) for side in ("a", "b")}
    found = preference(verdicts)
    decided, ties = won["a"] + won["b"], verdicts.count("tie")
    if found.verdict == "undecided":
        verdict_text = t("blind.result.open", votes=len(verdicts), p=p_in_words(found.p))
    else:
        winner = names[found.verdict == "b"]
        verdict_text = t(
            "blind.result.won", name=winner, won=won[found.verdict], decided=decided, p=p_in_words(found.p)
        )
    share = t("blind.result.share", name=names[0], share=_percent(found.share), low=_percent(found.low),
              high=_percent(found.high)) if decided else ""  # fmt: skip
    return _common(page, session) | {
        "state": "revealed",
        "said": verdict_text,
        "share": share,
        "models": [{"name": name, "won": count} for name, count in zip(names, won.values(), strict=True)],
        "ties": ties,
        "judged": [
            {"number": number, "left": names[vote.order[0]], "right": names[vote.order[1]], "vote": vote.vote}
            for number, vote in enumerate(session.votes, start=1)
        ],
    }


def sessions_view(page: PlaygroundPage, sessions: list[BlindVote]) -> View:
    """The kept blind votes; who was compared is said only of those whose names were shown."""
    names = {reference: label for label, reference in present_choices(page.services, page.t)}
    items = []
    for session in sessions:
        record = session.record
        compared = " · ".join(names.get(model, model) for model in record.models)
        title = compared if session.is_revealed else page.t("blind.kept.hidden")
        verdict_text = page.t("blind.kept.said", dataset=record.dataset, votes=len(session.verdicts),
                      moment=page.moment(record.begun_at))  # fmt: skip
        items.append({"id": record.id, "title": title, "said": verdict_text})
    return {"items": items}


def p_in_words(p: float) -> str:
    """A p as a person reads it: `= 0.03`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"


def question_turns(row: Row) -> tuple[Message, ...]:
    """What stands before a row's first answer."""
    return tuple(takewhile(lambda turn: turn.role != "assistant", row.messages))


def stuck_view(page: PlaygroundPage, session: BlindVote, error: StudioError) -> View:
    """No question can be found any more; the votes so far stand."""
    return _common(page, session) | {"state": "stuck", "failure": {"message": error.message, "hint": error.hint}}


def _common(page: PlaygroundPage, session: BlindVote) -> View:
    """What every state shows: which question, and the tally, which names no side."""
    verdicts = session.verdicts
    number = len(session.votes)
    return {
        "id": session.record.id,
        "number": number,
        "where": page.t("blind.where", number=min(number + 1, session.record.questions), of=session.record.questions),
        "tally": _score(page, session) if verdicts else page.t("blind.tally.none"),
    }


def _score(page: PlaygroundPage, session: BlindVote) -> str:
    """Whether to go on voting. It says that somebody is ahead, and not who: that would tell who stood where."""
    verdicts = session.verdicts
    found = preference(verdicts)
    key = "blind.tally.open" if found.verdict == "undecided" else "blind.tally.decided"
    return page.t(key, votes=len(verdicts), p=p_in_words(found.p))


def _names(page: PlaygroundPage, session: BlindVote) -> list[str]:
    known = {reference: label for label, reference in present_choices(page.services, page.t)}
    return [known.get(model, model) for model in session.record.models]


def _turns(session: BlindVote, row: Row) -> list[View]:
    dataset, turns = session.record.dataset, question_turns(row)
    images = [{"of": f"dataset/{dataset}", "name": path.removeprefix("images/")} for path in row.images]
    return turns_view(turns, images[: sum(turn.content.count(PLACEHOLDER) for turn in turns)])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
