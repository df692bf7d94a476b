"""Chat: `python -m backend.programs.inference BASE_FOLDER`; questions on stdin, answers on stdout, a JSON a line.

Answers take turns token by token, so two adapters of one base stream side by side. The program ends when its stdin
does, so it never outlives the studio that started it.
"""

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError
from transformers import DynamicCache

from backend.catalog.checkpoints import resolve_checkpoint
from backend.chat_protocol import Ask, Failure, Line, Piece, Ready, Stop
from backend.errors import StudioError
from backend.programs.model.adapters import ModelHost
from backend.programs.model.generation import choose, first_logits, next_logits
from backend.settings import Workspace

NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")  # as CUDA and the CPU's allocator say it
HALF_A_CHARACTER = "\ufffd"  # a token may end in the middle of a UTF-8 character
_QUESTIONS: TypeAdapter[Ask | Stop] = TypeAdapter(Ask | Stop)


def main() -> None:
    """Load the model, say `ready`, answer until stdin ends."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what libraries print must not meet the protocol
    requests: queue.Queue[Ask | Stop | None] = queue.Queue()
    threading.Thread(target=_read, args=(requests,), daemon=True).start()
    try:
        host = ModelHost(Path(sys.argv[1]))
    except StudioError as error:
        _write_line(out, Failure(id=0, message=error.message, hint=error.hint))
        return
    _write_line(out, Ready())
    _serve(host, requests, out)


def pieces(ask: Ask, host: ModelHost) -> Iterator[Piece]:
    """Answer, one token a step; several of these may take turns on one host.

    Raises:
        StudioError: the checkpoint, or an image, cannot be used.
    """
    checkpoint = resolve_checkpoint(ask.checkpoint, Workspace(Path(ask.workspace)))
    name, encoder = host.prepare(checkpoint), host.encoder(checkpoint)
    sample = encoder.encode(ask.messages, [Path(image) for image in ask.images], for_answer=True, name="the question")
    sampling = ask.sampling
    ends = {encoder.end_id, encoder.tokenizer.pad_token_id}
    cache, chance = DynamicCache(), torch.Generator().manual_seed(sampling.seed)
    with host.active_with_vision(name) as model:
        logits = first_logits(model, sample, cache)
    generated: list[int] = []
    started, sent = time.monotonic(), ""
    while True:
        token = choose(
            logits, sampling, chance, torch.cat([sample.input_ids, torch.tensor(generated, dtype=torch.long)])
        )
        if token in ends or len(generated) == sampling.max_new_tokens:
            break
        generated.append(token)
        text = encoder.tokenizer.decode(generated, skip_special_tokens=True)
        if not text.endswith(HALF_A_CHARACTER):
            yield Piece(id=ask.id, text=text[len(sent) :], tokens=len(generated), seconds=time.monotonic() - started)
            sent = text
        logits = next_logits(host.activate(name), sample, cache, token, len(generated))
    reason: Literal["end", "length"] = "end" if token in ends else "length"
    rest = encoder.tokenizer.decode(generated, skip_special_tokens=True)[len(sent) :]
    seconds = time.monotonic() - started
    yield Piece(id=ask.id, text=rest, tokens=len(generated), seconds=seconds, is_last=True, reason=reason)


def _serve(host: ModelHost, requests: "queue.Queue[Ask | Stop | None]", out: object) -> None:
    answers: dict[int, Iterator[Piece]] = {}
    while True:
        while not answers or not requests.empty():
            request = requests.get()
            if request is None:
                return
            if isinstance(request, Ask):
                answers[request.id] = pieces(request, host)
            elif answers.pop(request.id, None) is not None:
                _write_line(out, Piece(id=request.id, text="", tokens=0, seconds=0, is_last=True, reason="stopped"))
        for number in list(answers):
            message = _step(number, answers[number])
            _write_line(out, message)
            if isinstance(message, Failure) or message.is_last:
                answers.pop(number)


def _step(number: int, answer: Iterator[Piece]) -> Piece | Failure:
    try:
        return next(answer)
    except StudioError as error:
        return Failure(id=number, message=error.message, hint=error.hint)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of a library below too: this answer ends, the model stays
        text = (str(error) or type(error).__name__).splitlines()[0][:300]
        return Failure(id=number, message=f"The model failed: {text}", hint=_hint(error))


def _hint(error: BaseException) -> str:
    """What a person can do about what a library raised."""
    text = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in text for sign in NO_MEMORY):
        return "Try a smaller image or fewer models"
    return "Ask again; if it fails again, hold its files against what was saved: `studio models check RUN_OR_FOLDER`"


def _read(requests: "queue.Queue[Ask | Stop | None]") -> None:
    for raw in sys.stdin.buffer:
        try:
            requests.put(_QUESTIONS.validate_json(raw))
        except ValidationError as error:
            sys.stderr.write(f"refused a question: {error}\n")
    requests.put(None)


def _write_line(out: object, line: Line) -> None:
    out.write(line.model_dump_json().encode() + b"\n")  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
