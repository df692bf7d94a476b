"""Answers to validation rows: any evaluation, a page at a time, beside the first answer given."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from backend.conversation import Message
from backend.errors import StudioError
from backend.ids import RunId
from backend.recipes.library import load_recipe
from backend.runs.answers import Prediction, read_predictions, recorded_steps, write_predictions
from backend.runs.folder import RunFolder
from studio.pages.runs import routes as answers
from studio.pages.runs.answers import PAGE
from studio.services import Services
from studio.web.responses import on_studio_error

RUN = "20260101-000000-receipts"


@pytest.fixture
def folder(services: Services) -> RunFolder:
    folder = RunFolder(services.workspace.output / RUN)
    folder.path.mkdir()
    services.runs.add(RunId(RUN), load_recipe("lora").spec, 1_795_000_000.0)
    return folder


@pytest.fixture
def client(services: Services) -> Iterator[TestClient]:
    app = FastAPI()
    app.add_exception_handler(StudioError, on_studio_error)
    app.include_router(answers.router(services))
    with TestClient(app) as client:
        yield client


def predictions(given: list[str]) -> list[Prediction]:
    return [
        Prediction(
            row=f"r{number}", dataset="codes", images=("images/a.png",),
            asked=(Message(role="user", content="<image>Which <b>code</b>?"),), gold="RD-17", given=text, is_cut=False,
            scores={"exact_match": float(text == "RD-17")},
        )
        for number, text in enumerate(given)
    ]  # fmt: skip


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written = predictions(["RD-17", "line\u2028end", "多"])

    write_predictions(tmp_path / "predictions", 120, written)

    assert recorded_steps(tmp_path / "predictions") == [120]
    assert read_predictions(tmp_path / "predictions", 120) == written
    assert read_predictions(tmp_path / "predictions", 7) == []


def test_the_last_evaluation_is_shown_unless_another_is_asked_for(folder: RunFolder, client: TestClient) -> None:
    write_predictions(folder.predictions, 0, predictions(["?", "?"]))
    write_predictions(folder.predictions, 50, predictions(["RD-17", "?"]))

    last = client.get(f"/api/runs/{RUN}/answers").json()
    first = client.get(f"/api/runs/{RUN}/answers", params={"step": 0}).json()

    assert (last["steps"], last["step"], last["total"]) == ([0, 50], 50, 2)
    assert first["step"] == 0
    assert last["rows"][0] == {
        "id": "r0",
        "dataset": "codes",
        "turns": [
            {
                "role": "user",
                "parts": [
                    {"image": {"of": "dataset/codes", "name": "a.png"}},
                    {"text": "Which <b>code</b>?"},
                ],
            }
        ],
        "gold": "RD-17",
        "given": "RD-17",
        "before": "?",
        "is_right": True,
        "is_cut": False,
    }


@pytest.mark.parametrize(("which", "rows"), [("all", ["r0", "r1", "r2"]), ("wrong", ["r1", "r2"]), ("changed", ["r0"])])
def test_answers_are_filtered(which: str, rows: list[str], folder: RunFolder, client: TestClient) -> None:
    write_predictions(folder.predictions, 0, predictions(["?", "?", "!"]))
    write_predictions(folder.predictions, 9, predictions(["RD-17", "?", "!"]))

    page = client.get(f"/api/runs/{RUN}/answers", params={"which": which}).json()

    assert [row["id"] for row in page["rows"]] == rows


def test_answers_come_a_page_at_a_time(folder: RunFolder, client: TestClient) -> None:
    write_predictions(folder.predictions, 0, predictions([str(number) for number in range(PAGE + 3)]))

    page = client.get(f"/api/runs/{RUN}/answers", params={"start": PAGE}).json()

    assert (page["total"], len(page["rows"])) == (PAGE + 3, 3)


def test_a_run_without_evaluations_has_none_and_an_unknown_run_is_not_found(
    folder: RunFolder, client: TestClient
) -> None:
    assert client.get(f"/api/runs/{RUN}/answers").json()["rows"] == []
    assert client.get("/api/runs/20260101-000000-none/answers").status_code == 404
    assert client.get(f"/api/runs/{RUN}/answers", params={"which": "nice"}).status_code == 422
