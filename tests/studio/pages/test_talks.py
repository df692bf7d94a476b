"""Conversations of the Playground: turns alternate whatever fails, and the view says what happened."""

from backend.conversation import Message
from studio.pages.playground.conversation import Talk


def roles(talk: Talk) -> list[str]:
    return [turn.role for turn in talk.turns]


def test_a_question_shows_its_images_before_its_text():
    talk = Talk().with_question("What is it?", ("a.png", "b.png"))

    assert talk == Talk((Message(role="user", content="<image><image>What is it?"),), ("a.png", "b.png"))


def test_a_question_that_was_never_answered_is_asked_again_with_the_next_one():
    talk = Talk().with_question("One?", ("a.png",)).answered("").with_question("Two?", ("b.png",)).answered("yes")

    assert roles(talk) == ["user", "assistant"]
    assert talk.turns[0].content == "<image>One?\n<image>Two?"
    assert talk.images == ("a.png", "b.png")


def test_images_stay_with_their_turns_in_the_view():
    talk = Talk().with_question("One?", ("a.png",)).answered("1").with_question("Two?", ("b.png",)).answered("2")

    shown = [[part.get("image", {}).get("name") for part in turn["parts"]] for turn in talk.view()["turns"]]
    assert shown == [["a.png", None], [None], ["b.png", None], [None]]


def test_the_view_tells_silence_from_waiting_and_from_failure():
    talk = Talk().with_question("Well?")

    assert [turn["role"] for turn in talk.view("waiting", is_busy=True)["turns"]] == ["user"]
    assert talk.view()["turns"][-1] == {"role": "assistant", "parts": []}
    failed = talk.view(failure=("It broke", "Mend it"))
    assert failed["failure"] == {"message": "It broke", "hint": "Mend it"}
    assert [turn["role"] for turn in failed["turns"]] == ["user"]
