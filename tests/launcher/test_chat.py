"""Chat: one program per base model, answers side by side, stopped and started again."""

import itertools
import os
import signal
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PIL import Image

from backend.conversation import Message
from backend.errors import CheckpointError, LaunchError, NotFoundError
from backend.settings import Workspace
from backend.spec.sampling import ChatSettings
from launcher.chat import ChatPool, ChatRequest
from launcher.run_manager import RunManager

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    workspace = Workspace(tmp_path_factory.mktemp("chat"))
    workspace.prepare()
    launcher = RunManager.open(workspace)
    with closing(ChatPool(launcher)) as pool:
        yield pool
    launcher.runs.close()


@pytest.fixture
def image(tmp_path):
    Image.new("RGB", (112, 112), "white").save(tmp_path / "white.png")
    return tmp_path / "white.png"


def question(image, text="Describe the picture.", **changes):
    turn = Message(role="user", content=f"<image>{text}")
    asked = {"checkpoint": "demo", "messages": (turn,), "images": (image,)}
    settings = {name: changes.pop(name) for name in list(changes) if name in ChatSettings.model_fields}
    return ChatRequest(**(asked | changes), settings=ChatSettings(**settings))


def test_an_answer_comes_in_pieces_and_says_why_it_ended(pool, image):
    pieces = list(pool.ask(question(image, max_new_tokens=5)))

    assert pieces[-1].is_last
    assert pieces[-1].reason in ("end", "length")
    assert [piece.tokens for piece in pieces] == sorted(piece.tokens for piece in pieces)


def test_the_same_seed_gives_the_same_answer(pool, image):
    texts = [
        "".join(piece.text for piece in pool.ask(question(image, seed=seed, temperature=1.5, max_new_tokens=12)))
        for seed in (1, 1, 2, 3)
    ]

    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


def test_the_system_prompt_stands_first_and_once():
    turns = (Message(role="system", content="of the row"), Message(role="user", content="Well?"))
    whole = ChatRequest("demo", turns, ())

    assert whole.turns == turns
    assert replace(whole, settings=ChatSettings(system="Be brief.")).turns == (
        Message(role="system", content="Be brief."),
        turns[1],
    )


def test_what_is_said_of_sampling_reaches_the_model(pool, image):
    def answer(**changes):
        return "".join(piece.text for piece in pool.ask(question(image, max_new_tokens=12, **changes)))

    likeliest = answer()

    assert answer(temperature=2.0, top_p=0.001, seed=3) == likeliest  # only one token is left to choose from
    again = f"Describe the picture. {likeliest}"
    assert answer(text=again, repetition_penalty=2.0) != answer(text=again)
    with pytest.raises(CheckpointError, match="control token"):
        answer(system="<|im_end|>")


def test_two_answers_stream_at_the_same_time(pool, image):
    streamed: list[int] = []

    def ask(number: int) -> None:
        for _ in pool.ask(question(image, temperature=3.0, seed=number, max_new_tokens=60)):
            streamed.append(number)

    threads = [threading.Thread(target=ask, args=(number,)) for number in (11, 12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(streamed) == {11, 12}
    changes = sum(before != after for before, after in itertools.pairwise(streamed))
    assert changes > 2, "one waited for the other"


def test_leaving_an_answer_stops_it(pool, image):
    answer = pool.ask(question(image, temperature=5.0, max_new_tokens=8000))
    next(answer)
    answer.close()

    list(pool.ask(question(image, max_new_tokens=3)))

    program = next(iter(pool._programs.values())).identity.pid
    assert any(used_s(program) < 0.05 for _ in range(20)), "it still writes what nobody reads"


def used_s(program: int) -> float:
    """What the program computes in half a second, wherever it was forked: 8,000 tokens take a minute and more."""

    def stdin_of(pid: int) -> str:
        with suppress(OSError):
            return str(Path(f"/proc/{pid}/fd/0").readlink())
        return ""

    pipe = stdin_of(program)
    same = [each for each in psutil.process_iter() if stdin_of(each.pid) == pipe]
    before = [each.cpu_times() for each in same]
    time.sleep(0.5)
    after = [each.cpu_times() for each in same]
    return sum(new.user + new.system - old.user - old.system for old, new in zip(before, after, strict=True))


def test_a_dead_program_is_started_anew(pool, image):
    list(pool.ask(question(image, max_new_tokens=2)))
    program = next(iter(pool._programs.values()))
    answer = pool.ask(question(image, temperature=5.0, max_new_tokens=8000))
    next(answer)

    os.kill(program._process.pid, signal.SIGKILL)

    with pytest.raises(LaunchError, match="ended while it was answering"):
        list(answer)
    assert list(pool.ask(question(image, max_new_tokens=2)))[-1].is_last


def test_what_cannot_be_asked_is_answer(pool, image, tmp_path):
    with pytest.raises(NotFoundError, match="`nowhere`"):
        list(pool.ask(question(image, checkpoint="nowhere")))
    with pytest.raises(CheckpointError, match="control token"):
        list(pool.ask(question(image, text="<|im_end|>")))
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(CheckpointError, match=r"`text\.png`"):
        list(pool.ask(question(tmp_path / "text.png")))


def test_the_demo_model_can_be_chosen(pool):
    assert "demo" in [choice.reference for choice in pool.choices()]
