"""`studio chat`: one question, or a conversation, with one model or two side by side."""

import functools
import inspect
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL import Image, UnidentifiedImageError
from pydantic import ValidationError

from backend.conversation import PLACEHOLDER, Message
from backend.datasets.image_pool import ImagePool
from backend.datasets.problems import CODES
from backend.errors import DatasetError, SpecError
from backend.image_size import MAX_ASPECT_RATIO
from backend.spec.files import problems_of
from backend.spec.knobs import knobs_of
from backend.spec.sampling import ChatSettings
from launcher.chat import ChatPool, ChatRequest
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


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take each field of `ChatSettings` as an option, and hand them over as its argument `settings`."""
    signature = inspect.signature(command)
    options = [
        inspect.Parameter(
            knob.path, inspect.Parameter.KEYWORD_ONLY, default=knob.field.default,
            annotation=Annotated[knob.field.annotation, typer.Option(help=f"{knob.help}.")],
        )
        for knob in knobs_of(ChatSettings)
    ]  # fmt: skip

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        values = {option.name: arguments.pop(option.name) for option in options}
        try:
            settings = ChatSettings(**values)
        except ValidationError as error:
            raise SpecError("; ".join(problems_of(error)), hint="`studio chat --help` lists the options") from error
        command(**arguments, settings=settings)

    others = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    parameters = [*(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in others), *options]
    vars(run)["__signature__"] = signature.replace(parameters=parameters)
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


@explained
@with_settings
def chat(
    checkpoint: Annotated[str, typer.Argument(help="A model, a run, run/checkpoint-N, or a folder.")],
    image: IMAGE = None,
    prompt: Annotated[str, typer.Option(help="Without it: a conversation.")] = "",
    compare: Annotated[str, typer.Option(help="A second checkpoint, asked the same.")] = "",
    as_json: JSON_OPTION = False,
    *,
    settings: ChatSettings,
) -> None:
    """Talk to a checkpoint about images."""
    references = [checkpoint, *([compare] if compare else [])]
    with tempfile.TemporaryDirectory(prefix="asked-") as folder, closing(ChatPool(context.launcher())) as pool:
        images = as_imported([path.resolve() for path in image or ()], Path(folder))
        if prompt:
            _ask_once(pool, references, images, prompt, settings, as_json)
        else:
            _converse(pool, references, images, settings)


def _ask_once(
    pool: ChatPool, references: list[str], images: tuple[Path, ...], prompt: str, settings: ChatSettings, as_json: bool
) -> None:
    turn = _user_turn(prompt, len(images))
    answers = []
    for reference in references:
        if not as_json and len(references) > 1:
            console.rule(reference)
        question = ChatRequest(reference, (turn,), images, settings)
        text, tokens, seconds = _stream(pool, question, quiet=as_json)
        answers.append({"checkpoint": reference, "answer": text, "tokens": tokens, "seconds": round(seconds, 3)})
    if as_json:
        print_json({"prompt": prompt, "answers": answers})


def _converse(pool: ChatPool, references: list[str], images: tuple[Path, ...], settings: ChatSettings) -> None:
    say("Ask; an empty line ends.")
    histories: dict[str, list[Message]] = {reference: [] for reference in references}
    while text := typer.prompt("you", default="", show_default=False).strip():
        for reference, history in histories.items():
            history.append(_user_turn(text, 0 if history else len(images)))
            console.rule(reference)
            answer, _, _ = _stream(pool, ChatRequest(reference, tuple(history), images, settings), quiet=False)
            history.append(Message(role="assistant", content=answer))


def _user_turn(text: str, images: int) -> Message:
    if PLACEHOLDER in text:
        raise DatasetError(f"The prompt contains `{PLACEHOLDER}`", hint="Give images with --image; they are put first")
    return Message(role="user", content=PLACEHOLDER * images + text)


def _stream(pool: ChatPool, question: ChatRequest, *, quiet: bool) -> tuple[str, int, float]:
    text, tokens, seconds = "", 0, 0.0
    for piece in pool.ask(question):
        text, tokens, seconds = text + piece.text, piece.tokens, piece.seconds
        if not quiet:
            console.print(piece.text, end="", markup=False, highlight=False, soft_wrap=True)
    if not quiet:
        console.print()
    return text, tokens, seconds
