"""Rewards are code that a visitor writes: only this machine's own page may send it, and none is public."""

import json
from pathlib import Path

import httpx
import pytest

from backend.errors import LaunchError
from backend.rewards.store import RewardStore
from backend.settings import Workspace
from studio.web.server import serve
from tests.serving import Served

STRANGERS = [
    {"host": "evil.com"}, {"host": "evil.com:7860", "origin": "http://evil.com:7860"}, {"origin": "http://evil.com"},
    {"origin": "null"}, {"origin": "http://127.0.0.1:1"}, {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
]  # fmt: skip


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.20", "studio.example.com", ""])
def test_r15_a_public_address_is_refused(tmp_path: Path, host: str):
    with pytest.raises(LaunchError, match="can be reached from other machines"):
        serve(Workspace(tmp_path / "workspace"), host=host)

    assert not (tmp_path / "workspace").exists()


def clicked(ask: httpx.Client, page: str, elem_id: str) -> int:
    """The number of the event that a click on a button of the page starts."""
    config = ask.get(f"{page}config").json()
    (button,) = [each["id"] for each in config["components"] if each["props"].get("elem_id") == elem_id]
    (event,) = [each["id"] for each in config["dependencies"] if [button, "click"] in each["targets"]]
    return int(event)


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
@pytest.mark.parametrize("button", ["dry-run", "reward-save"])
@pytest.mark.parametrize("page", ["/", "/zh/"])
def test_r15_another_site_can_neither_save_nor_dry_run_a_reward(
    ask: httpx.Client, studio: Served, page: str, button: str, stranger: dict[str, str]
):
    event = clicked(ask, page, button)
    content = {"data": [None, "evil", "def reward(**all): return [1]", {}, "shapes", 1, 2, "demo"], "fn_index": event,
               "session_hash": "stranger"}  # fmt: skip

    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answer = ask.post(
            f"{page}gradio_api/queue/join", headers=stranger | {"content-type": kind}, content=json.dumps(content)
        )
        assert answer.status_code == 403

    assert RewardStore(studio.workspace).names() == []
    assert not any(studio.workspace.output.glob("*/check.json"))


def test_a_dry_run_that_there_is_not_is_not_found(ask: httpx.Client):
    assert ask.get("/api/runs/nothing/check").status_code == 404
    assert ask.get("/api/runs/..%2f..%2fetc/check").status_code in (400, 404)
