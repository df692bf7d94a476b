"""Roll-outs: any drawing, its groups ranked by reward, and a search over the newest ones; hostile text stays text."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.conversation import Message
from backend.errors import StudioError
from backend.ids import RunId
from backend.recipes.library import load_recipe
from backend.runs.answers import Rollout, RolloutAnswer, write_rollouts
from backend.runs.folder import RunFolder
from studio.pages.runs import answers
from studio.pages.runs import routes as rollouts
from studio.pages.runs.answers import MOST_HITS, ROLLOUTS_PER_PAGE, rollouts_page, rollouts_with
from studio.services import Services
from studio.web.responses import on_studio_error

RUN = "20260101-000000-night"
HOSTILE = "</script><img src=x onerror=alert(1)> ${alert(2)} {{name}} \u2028 `x`"


@pytest.fixture
def folder(services: Services) -> RunFolder:
    folder = RunFolder(services.workspace.output / RUN)
    folder.path.mkdir()
    services.runs.add(RunId(RUN), load_recipe("grpo").spec, 1_795_000_000.0)
    return folder


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI()
    app.add_exception_handler(StudioError, on_studio_error)
    app.include_router(rollouts.router(services))
    with TestClient(app) as client:
        yield client


def answer(text: str, reward: float | None, advantage: float = 0.5, **values: float | None) -> RolloutAnswer:
    paid = values or {"exact_match": reward}
    return RolloutAnswer(text=text, reward=reward, values=paid, advantage=advantage, tokens=len(text), is_cut=False)


def group(row: str, *answers: RolloutAnswer, gold: str = "square", asked: str = "What is green?") -> Rollout:
    turns = (Message(role="user", content=f"<image>{asked}"),)
    return Rollout(row=row, dataset="night", images=("images/a.png",), asked=turns, gold=gold, answers=answers)


def test_a_group_is_ranked_by_reward_with_what_no_reward_applied_to_last(folder: RunFolder, client: TestClient):
    answers = (answer("circle", 0.0, -0.5), answer("?", None, 0.0), answer("square", 1.0, 1.5))
    write_rollouts(folder.completions, 0, [group("r0", *answers)])

    page = client.get(f"/api/runs/{RUN}/rollouts").json()

    (row,) = page.pop("rows")
    assert page == {"steps": [0], "step": 0, "older": None, "newer": None, "latest": 0, "start": 0, "total": 1}
    assert [each["text"] for each in row["answers"]] == ["square", "circle", "?"]
    assert row["answers"][0] == {
        "text": "square", "reward": 1.0, "advantage": 1.5, "tokens": 6, "is_cut": False,
        "values": [{"name": "exact_match", "is_part": False, "value": 1.0}], "noted": [],
    }  # fmt: skip
    assert row["turns"][0]["parts"] == [
        {"image": {"of": "dataset/night", "name": "a.png"}}, {"text": "What is green?"}
    ]  # fmt: skip
    assert (row["place"], row["id"], row["dataset"], row["gold"], row["is_flat"]) == (0, "r0", "night", "square", False)


def test_parts_of_rewards_are_told_from_rewards(folder: RunFolder):
    write_rollouts(folder.completions, 0, [group("r0", answer("a", 1.0, 0.0, mine=1.0, **{"mine/form": None}))])

    (row,) = rollouts_page(folder, 0, 0)["rows"]

    assert row["answers"][0]["values"] == [
        {"name": "mine", "is_part": False, "value": 1.0}, {"name": "mine/form", "is_part": True, "value": None}
    ]  # fmt: skip
    assert row["is_flat"]


def test_what_a_reward_logged_of_an_answer_is_a_line_each(folder: RunFolder):
    logged = answer("a", 1.0).model_copy(update={"noted": {"found": [1, 2], "said": HOSTILE, "long": "x" * 999}})
    write_rollouts(folder.completions, 0, [group("r0", logged)])

    (row,) = rollouts_page(folder, 0, 0)["rows"]

    assert row["answers"][0]["noted"] == [
        {"name": "found", "text": "[1, 2]"}, {"name": "said", "text": HOSTILE},
        {"name": "long", "text": "x" * 300 + "…"},
    ]  # fmt: skip


def test_the_newest_drawing_is_shown_unless_another_is_asked_for(folder: RunFolder, client: TestClient):
    for step in (0, 4, 8):
        write_rollouts(folder.completions, step, [group(f"r{step}", answer("a", 1.0))])

    newest = client.get(f"/api/runs/{RUN}/rollouts").json()
    middle = client.get(f"/api/runs/{RUN}/rollouts", params={"step": 4}).json()

    assert (newest["step"], newest["older"], newest["newer"], newest["rows"][0]["id"]) == (8, 4, None, "r8")
    assert (middle["step"], middle["older"], middle["newer"], middle["latest"]) == (4, 0, 8, 8)


def test_questions_come_a_page_at_a_time_and_keep_their_places(folder: RunFolder, client: TestClient):
    write_rollouts(
        folder.completions, 0, [group(f"r{number}", answer("a", 1.0)) for number in range(ROLLOUTS_PER_PAGE + 2)]
    )

    page = client.get(f"/api/runs/{RUN}/rollouts", params={"start": ROLLOUTS_PER_PAGE}).json()

    assert (page["total"], page["start"]) == (ROLLOUTS_PER_PAGE + 2, ROLLOUTS_PER_PAGE)
    assert [row["place"] for row in page["rows"]] == [ROLLOUTS_PER_PAGE, ROLLOUTS_PER_PAGE + 1]


def test_a_long_run_offers_some_of_its_steps_and_always_the_shown_and_the_last(folder: RunFolder, monkeypatch):
    monkeypatch.setattr(answers, "OFFERED", 10)
    for step in range(95):
        write_rollouts(folder.completions, step, [group("r", answer("a", 1.0))])

    page = rollouts_page(folder, 7, 0)

    assert len(page["steps"]) <= 12
    assert {0, 7, 94} <= set(page["steps"])
    assert (page["older"], page["newer"]) == (6, 8)


@pytest.mark.parametrize(
    ("text", "where"), [("GREEN", "question"), ("golden", "gold"), ("a circle", "answer"), ("alert(2)", "answer")]
)
def test_a_search_looks_at_questions_gold_answers_and_answers(text: str, where: str, folder: RunFolder):
    write_rollouts(folder.completions, 3, [
        group("other", answer("nothing", 0.0), asked="How many?"),
        group("r0", answer("a circle", 0.0), answer(HOSTILE, 0.0), gold="golden"),
    ])  # fmt: skip

    found = rollouts_with(folder, text)

    (hit,) = found.pop("hits")
    assert found == {"searched": 1, "is_full": False}
    assert (hit["step"], hit["place"], hit["row"], hit["where"]) == (3, 1, "r0", where)
    assert text.lower() in hit["excerpt"].lower()


def test_a_search_starts_with_the_newest_drawing_and_stops_at_its_limits(folder: RunFolder, monkeypatch):
    for step in range(6):
        write_rollouts(folder.completions, step, [group(f"r{number}", answer("same", 1.0)) for number in range(20)])

    full = rollouts_with(folder, "same")
    monkeypatch.setattr(answers, "SEARCHED", 2)
    few = rollouts_with(folder, "same")

    assert (len(full["hits"]), full["is_full"]) == (MOST_HITS, True)
    assert [full["hits"][0]["step"], full["hits"][-1]["step"]] == [5, 3]
    assert (len(few["hits"]), few["searched"], few["is_full"]) == (40, 2, False)
    assert {hit["step"] for hit in few["hits"]} == {4, 5}


def test_hostile_text_travels_as_plain_json(folder: RunFolder, client: TestClient):
    write_rollouts(folder.completions, 0, [group("r0", answer(HOSTILE, 1.0), gold=HOSTILE, asked=HOSTILE)])

    answered = client.get(f"/api/runs/{RUN}/rollouts")
    found = client.get(f"/api/runs/{RUN}/rollouts", params={"text": "onerror=alert"})

    assert answered.headers["content-type"] == "application/json"
    assert answered.json()["rows"][0]["answers"][0]["text"] == HOSTILE
    assert len(found.json()["hits"]) == 1


def test_a_search_for_blanks_is_none_and_a_very_long_one_is_refused(folder: RunFolder, client: TestClient):
    write_rollouts(folder.completions, 0, [group("r0", answer("a", 1.0))])

    assert "rows" in client.get(f"/api/runs/{RUN}/rollouts", params={"text": "   "}).json()
    assert client.get(f"/api/runs/{RUN}/rollouts", params={"text": "x" * 201}).status_code == 422


def test_a_run_without_rollouts_has_none_and_an_unknown_run_is_not_found(folder: RunFolder, client: TestClient):
    assert client.get(f"/api/runs/{RUN}/rollouts").json()["steps"] == []
    assert client.get(f"/api/runs/{RUN}/rollouts", params={"text": "a"}).json()["hits"] == []
    assert client.get("/api/runs/20260101-000000-none/rollouts").status_code == 404
