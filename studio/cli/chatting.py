"""`studio chat`: one question, or a conversation, with one model or two side by side."""

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.conversation import PLACEHOLDER, Message
from backend.errors import DatasetError
from backend.question_pictures import as_imported
from launcher.chat import ChatPool, Question
from studio.cli import doors
from studio.cli.output import JSON_OPTION, console, explained, print_json, say

IMAGE = Annotated[list[Path] | None, typer.Option("--image", help="A picture; may be repeated.")]


@explained
def chat(
    checkpoint: Annotated[str, typer.Argument(help="A model, a run, run/checkpoint-N, or a folder.")],
    image: IMAGE = None,
    prompt: Annotated[str, typer.Option(help="Without it: a conversation.")] = "",
    compare: Annotated[str, typer.Option(help="A second checkpoint, asked the same.")] = "",
    seed: int = 0,
    temperature: Annotated[float, typer.Option(min=0, max=5, help="0 takes the likeliest token.")] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1, help="With a temperature: only the likeliest tokens.")] = 1.0,
    repetition_penalty: Annotated[float, typer.Option(min=0.5, max=2, help="Above 1: repeats itself less.")] = 1.0,
    system: Annotated[str, typer.Option(help="How to answer; without it the model's own.")] = "",
    max_new_tokens: Annotated[int, typer.Option(min=1, max=8192)] = 256,
    beside_runs: Annotated[bool, typer.Option(help="Answer on a GPU that a run holds where no other is free.")] = False,
    as_json: JSON_OPTION = False,
) -> None:
    """Talk to a checkpoint about pictures."""
    references = [checkpoint, *([compare] if compare else [])]
    sampling = {
        "seed": seed, "temperature": temperature, "top_p": top_p, "repetition_penalty": repetition_penalty,
        "max_new_tokens": max_new_tokens, "system": system, "beside_runs": beside_runs,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="asked-") as folder, closing(ChatPool(doors.launcher())) as pool:
        pictures = as_imported([path.resolve() for path in image or ()], Path(folder))
        if prompt:
            _ask_once(pool, references, pictures, prompt, sampling, as_json)
        else:
            _converse(pool, references, pictures, sampling)


def _ask_once(
    pool: ChatPool, references: list[str], pictures: tuple[Path, ...], prompt: str, sampling: Any, as_json: bool
) -> None:
    turn = _user_turn(prompt, len(pictures))
    answers = []
    for reference in references:
        if not as_json and len(references) > 1:
            console.rule(reference)
        question = Question(reference, (turn,), pictures, **sampling)
        text, tokens, seconds = _stream(pool, question, quiet=as_json)
        answers.append({"checkpoint": reference, "answer": text, "tokens": tokens, "seconds": round(seconds, 3)})
    if as_json:
        print_json({"prompt": prompt, "answers": answers})


def _converse(pool: ChatPool, references: list[str], pictures: tuple[Path, ...], sampling: Any) -> None:
    say("Ask; an empty line ends.")
    histories: dict[str, list[Message]] = {reference: [] for reference in references}
    while text := typer.prompt("you", default="", show_default=False).strip():
        for reference, history in histories.items():
            history.append(_user_turn(text, 0 if history else len(pictures)))
            console.rule(reference)
            answer, _, _ = _stream(pool, Question(reference, tuple(history), pictures, **sampling), quiet=False)
            history.append(Message(role="assistant", content=answer))


def _user_turn(text: str, pictures: int) -> Message:
    if PLACEHOLDER in text:
        raise DatasetError(
            f"The prompt contains `{PLACEHOLDER}`", hint="Give pictures with --image; they are put first"
        )
    return Message(role="user", content=PLACEHOLDER * pictures + text)


def _stream(pool: ChatPool, question: Question, *, quiet: bool) -> tuple[str, int, float]:
    text, tokens, seconds = "", 0, 0.0
    for piece in pool.ask(question):
        text, tokens, seconds = text + piece.text, piece.tokens, piece.seconds
        if not quiet:
            console.print(piece.text, end="", markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        console.print()
    return text, tokens, seconds
