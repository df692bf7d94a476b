"""Blind votes: nothing tells who stands where until the names are shown; every vote is a line that stays."""

import json
from dataclasses import replace

import pytest

from backend.datasets.store import DatasetStore, ImportOptions
from backend.demo.datasets import DEMO_DATASETS, write_rows
from backend.errors import NotFoundError, SpecError
from backend.settings import Workspace
from backend.spec.sampling import ChatSettings
from studio.pages.playground import blind
from studio.pages.playground.blind_layout import ShownVote, begin, open_vote, questions, set_up
from studio.pages.playground.blind_views import sessions_view
from studio.pages.playground.context import PlaygroundPage, open_page
from studio.pages.playground.settings import values_of
from studio.pages.playground.storage import BlindVote, new_id
from studio.services import build_services
from studio.ui.i18n import translator
from tests.fakes.fake_chats import FakeChats

NAMES = ("alpha", "omega")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("blind"))
    workspace.prepare()
    rows = tmp_path_factory.mktemp("rows") / "shapes"
    write_rows(replace(DEMO_DATASETS[0], rows=24), rows)
    DatasetStore(workspace).import_dataset(rows, ImportOptions(name="shapes", validation_share=0.5))
    return workspace


@pytest.fixture
def page(workspace: Workspace) -> PlaygroundPage:
    services = replace(build_services(workspace), chats=FakeChats(*NAMES, "broken"))  # type: ignore[arg-type]
    return open_page(services, translator("en"))


def begun(page: PlaygroundPage, *models: str) -> BlindVote:
    return blind.begin(page, (*(models or NAMES), "shapes"), tuple(values_of(ChatSettings())))


@pytest.mark.parametrize(("counts", "part"), [((5, 3, 2), "validation"), ((5, 0, 2), "test"), ((5, 0, 0), None)])
def test_rows_that_no_run_learned_from_are_judged(workspace, counts, part):
    train, validation, test = counts
    statistics = DatasetStore(workspace).get("shapes").statistics
    changed = {"train_rows": train, "validation_rows": validation, "test_rows": test}

    assert blind.part_judged(statistics.model_copy(update=changed)) == part


def judge(page: PlaygroundPage, vote_id: str, choose) -> list[dict[str, object]]:
    """Judge the next question; `choose` picks a side from what the page shows. Every view on the way."""
    *shown, (pending, view) = blind.next_question(page, vote_id)
    cast = blind.vote(page, vote_id, pending, view | {"vote": choose(view)})
    return [*(each for _, each in shown), view, *([cast] if cast else [])]


def better(name: str):
    """Whoever prefers one model's answers, wherever they stand."""
    return lambda view: "left" if name in view["left"] else "right"


def without_answers(view: dict[str, object]) -> str:
    return json.dumps({key: value for key, value in view.items() if key not in ("left", "right")})


def test_nothing_but_the_answers_tells_the_models_apart_before_the_names_are_shown(page: PlaygroundPage):
    record = begun(page).record
    views = [view for _ in range(4) for view in judge(page, record.id, better("omega"))]
    views.append(sessions_view(page, page.votes.newest()))

    assert len(views) == 4 * 3 + 1
    for view in views:
        assert not any(word in without_answers(view) for word in (*NAMES, "order", str(record.seed)))
    tallies = {view["tally"] for view in views[:-1]}
    assert all("Nobody is ahead" in tally or tally == "No vote yet." for tally in tallies)


def test_who_stands_left_is_drawn_for_each_question_and_again_the_same_from_the_seed(page: PlaygroundPage):
    record = begun(page).record

    orders = [blind.order_of(record, number) for number in range(200)]

    assert orders == [blind.order_of(record, number) for number in range(200)]
    assert 60 < orders.count((0, 1)) < 140
    places = [blind.place_of(record, number) for number in range(record.questions)]
    assert sorted(places) == list(range(record.questions))


def test_votes_are_counted_by_model_and_told_once_the_names_are_shown(page: PlaygroundPage):
    record = begun(page).record
    for _ in range(record.questions):
        judge(page, record.id, better("omega"))

    shown = blind.reveal(page, record.id)

    session = blind.find_vote(page, record.id)
    assert session.verdicts == ["b"] * record.questions
    assert {vote.vote for vote in session.votes} <= {"left", "right"}
    assert shown["models"] == [
        {"name": "The model alpha", "won": 0},
        {"name": "The model omega", "won": len(session.votes)},
    ]
    assert [view["state"] for _, view in blind.next_question(page, record.id)] == ["revealed"]
    for vote, told in zip(session.votes, shown["judged"], strict=True):
        assert f"I am {NAMES[vote.order[0]]}." == vote.answers[0]
        assert told["left"] == f"The model {NAMES[vote.order[0]]}"


def test_the_verdict_says_to_stop_and_not_who_leads(page: PlaygroundPage):
    record = begun(page).record
    session = blind.find_vote(page, record.id)
    for number in range(12):
        order = blind.order_of(record, number)
        line = {"question": str(number), "order": order, "vote": "left" if order[0] == 1 else "right",
                "answers": ("x", "y"), "voted_at": 0.0}  # fmt: skip
        page.votes.add(session, blind.VoteRecord.model_validate(line))

    before = blind.state_view(page, blind.find_vote(page, record.id))
    after = blind.reveal(page, record.id)

    assert "One of the two is preferred" in before["tally"]
    assert not any(name in without_answers(before) for name in NAMES)
    assert "The model omega is preferred: better in 12 of 12" in after["said"]


def test_only_the_question_that_is_shown_can_be_judged_and_only_once(page: PlaygroundPage):
    record = begun(page).record
    *_, (pending, view) = blind.next_question(page, record.id)

    assert blind.vote(page, record.id, pending, view | {"vote": "left", "number": 5}) is None
    assert blind.vote(page, record.id, pending, view | {"vote": "both"}) is None
    assert blind.vote(page, record.id, None, view | {"vote": "left"}) is None
    assert blind.vote(page, record.id, pending, view | {"vote": "tie"}) is not None
    assert blind.vote(page, record.id, pending, view | {"vote": "tie"}) is None  # the same key again
    blind.reveal(page, record.id)
    assert blind.vote(page, record.id, pending, view | {"vote": "left", "number": 1}) is None
    assert blind.find_vote(page, record.id).verdicts == ["tie"]


def test_answers_to_a_vote_that_was_left_do_not_appear_in_the_next_one(page: PlaygroundPage):
    seat, asked = ShownVote(), (*NAMES, "shapes", *values_of(ChatSettings()))
    begin(page, seat, *asked)
    first, left = seat.vote_id, questions(page, seat)
    assert next(left)[1]["state"] == "asking"  # the models are answering

    begin(page, seat, *asked)

    assert list(left) == []
    pending, view = list(questions(page, seat))[-1]
    assert (pending.vote_id, view["id"]) == (seat.vote_id, seat.vote_id)
    assert seat.vote_id != first

    under_way = questions(page, seat)
    next(under_way)
    set_up(page, seat)
    assert list(under_way) == []
    open_vote(page, seat, {"id": first})
    assert list(questions(page, seat))[-1][1]["id"] == first


def test_a_vote_that_is_deleted_while_its_models_answer_is_no_error_on_the_next_one(page: PlaygroundPage):
    seat, asked = ShownVote(), (*NAMES, "shapes", *values_of(ChatSettings()))
    begin(page, seat, *asked)
    left = questions(page, seat)
    next(left)
    page.votes.delete(seat.vote_id)

    begin(page, seat, *asked)

    assert list(left) == []


def test_a_model_that_fails_is_not_named_and_its_question_is_skipped(page: PlaygroundPage):
    record = begun(page, "alpha", "broken").record

    views = judge(page, record.id, lambda view: "left")

    assert [view["state"] for view in views] == ["asking", "failed", "asking"]
    assert not any("broken" in json.dumps(view) or "alpha" in json.dumps(view) for view in views)
    assert blind.find_vote(page, record.id).votes[0].vote == "skip"
    assert blind.find_vote(page, record.id).verdicts == []


def test_what_cannot_be_compared_is_said(page: PlaygroundPage):
    knobs = tuple(values_of(ChatSettings()))

    with pytest.raises(SpecError, match="two different models"):
        blind.begin(page, ("alpha", "alpha", "shapes"), knobs)
    with pytest.raises(NotFoundError, match="`nowhere`"):
        blind.begin(page, ("alpha", "nowhere", "shapes"), knobs)
    with pytest.raises(NotFoundError, match="`no-such`"):
        blind.begin(page, ("alpha", "omega", "no-such"), knobs)


def test_a_torn_line_is_left_out_and_the_next_vote_stands_whole(page: PlaygroundPage):
    record = begun(page).record
    path = page.services.workspace.votes / f"{record.id}.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind":"vote","question"')

    judge(page, record.id, lambda view: "tie")

    assert blind.find_vote(page, record.id).verdicts == ["tie"]
    assert [json.loads(line)["kind"] for line in path.read_bytes().splitlines()[::2]] == ["session", "vote"]


@pytest.mark.parametrize(
    ("content", "said"), [(None, "no blind vote"), (b"", "damaged"), (b'{"kind":"vote"}\n', "damaged")]
)
def test_an_unknown_or_damaged_vote_says_so(page: PlaygroundPage, content: bytes | None, said: str):
    vote_id = new_id()
    if content is not None:
        page.services.workspace.votes.mkdir(exist_ok=True)
        (page.services.workspace.votes / f"{vote_id}.jsonl").write_bytes(content)

    with pytest.raises(NotFoundError, match=said):
        blind.find_vote(page, vote_id)
    page.votes.delete(vote_id)
    page.votes.delete("../talks")
    assert page.votes.find(vote_id) == "missing"
