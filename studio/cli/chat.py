"""`studio chat`: one question, or a conversation, with one model or two side by side."""

import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, UnidentifiedImageError

from backend.conversation import PLACEHOLDER, Message
from backend.datasets.image_pool import ImagePool
from backend.datasets.problems import CODES
from backend.errors import DatasetError
from backend.image_size import MAX_ASPECT_RATIO
from launcher.chat import ChatPool, Question
from studio.cli import context
from studio.cli.output import JSON_OPTION, console, explained, print_json, say

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 50_000_000
IMAGE = Annotated[list[Path] | None, typer.Option("--image", help="An image; may be repeated.")]


def refuse_unreadable(path: Path) -> None:
    """Look at an image's header.

    Raises:
        DatasetError: missing, not an image of an allowed format, too large, or too long for its height.
    """
    if not path.is_file():
        raise DatasetError(f"There is no image `{path}`", hint="Give the path of a JPEG, PNG or WebP file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is judged below
            with Image.open(path, formats=FORMATS) as image:
                width, height = image.size
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
        raise DatasetError(
            f"`{path.name}` is not an image that can be read", hint="Save it as JPEG, PNG or WebP"
        ) from error
    if width * height > MAX_PIXELS:
        raise DatasetError(
            f"`{path.name}` has {width:,} x {height:,} pixels", hint=f"Scale it below {MAX_PIXELS // 10**6} megapixels"
        )
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        raise DatasetError(
            f"`{path.name}` is {width} x {height} pixels", hint=f"One side may be {MAX_ASPECT_RATIO} times the other"
        )


def as_imported(paths: Sequence[Path], folder: Path) -> tuple[Path, ...]:
    """Store images in `folder` upright and in plain colours, as an import does: so a model sees what it learned from.

    Returns:
        The stored ones, in order.

    Raises:
        DatasetError: as `refuse_unreadable`, or one of them cannot be decoded.
    """
    for path in paths:
        refuse_unreadable(path)
    if not paths:
        return ()
    outcomes = dict(ImagePool(folder).prepare(list(dict.fromkeys(paths))))
    for path, outcome in outcomes.items():
        if outcome.code:
            raise DatasetError(f"`{path.name}` {outcome.message}", hint=CODES[outcome.code].hint)
    return tuple(folder / outcomes[path].stored for path in paths)


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
    """Talk to a checkpoint about images."""
    references = [checkpoint, *([compare] if compare else [])]
    sampling = {
        "seed": seed, "temperature": temperature, "top_p": top_p, "repetition_penalty": repetition_penalty,
        "max_new_tokens": max_new_tokens, "system": system, "beside_runs": beside_runs,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="asked-") as folder, closing(ChatPool(context.launcher())) as pool:
        images = as_imported([path.resolve() for path in image or ()], Path(folder))
        if prompt:
            _ask_once(pool, references, images, prompt, sampling, as_json)
        else:
            _converse(pool, references, images, sampling)


def _ask_once(
    pool: ChatPool, references: list[str], images: tuple[Path, ...], prompt: str, sampling: Any, as_json: bool
) -> None:
    turn = _user_turn(prompt, len(images))
    answers = []
    for reference in references:
        if not as_json and len(references) > 1:
            console.rule(reference)
        question = Question(reference, (turn,), images, **sampling)
        text, tokens, seconds = _stream(pool, question, quiet=as_json)
        answers.append({"checkpoint": reference, "answer": text, "tokens": tokens, "seconds": round(seconds, 3)})
    if as_json:
        print_json({"prompt": prompt, "answers": answers})


def _converse(pool: ChatPool, references: list[str], images: tuple[Path, ...], sampling: Any) -> None:
    say("Ask; an empty line ends.")
    histories: dict[str, list[Message]] = {reference: [] for reference in references}
    while text := typer.prompt("you", default="", show_default=False).strip():
        for reference, history in histories.items():
            history.append(_user_turn(text, 0 if history else len(images)))
            console.rule(reference)
            answer, _, _ = _stream(pool, Question(reference, tuple(history), images, **sampling), quiet=False)
            history.append(Message(role="assistant", content=answer))


def _user_turn(text: str, images: int) -> Message:
    if PLACEHOLDER in text:
        raise DatasetError(f"The prompt contains `{PLACEHOLDER}`", hint="Give images with --image; they are put first")
    return Message(role="user", content=PLACEHOLDER * images + text)


def _stream(pool: ChatPool, question: Question, *, quiet: bool) -> tuple[str, int, float]:
    text, tokens, seconds = "", 0, 0.0
    for piece in pool.ask(question):
        text, tokens, seconds = text + piece.text, piece.tokens, piece.seconds
        if not quiet:
            console.print(piece.text, end="", markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        console.print()
    return text, tokens, seconds
