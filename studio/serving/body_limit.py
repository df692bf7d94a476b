"""How much a request may send: counted as it comes in, whatever it says about itself, before Gradio keeps any of it.

Gradio removes the files of an upload that it refuses, but not of one that breaks off or grows too large as a whole: so
both are turned into what it refuses.
"""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.routes.replies import json_reply
from studio.serving.guard import own_path
from studio.serving.reach import GIB, Reach

MIB = 1024**2
UPLOADS = frozenset({"/gradio_api/upload", "/zh/gradio_api/upload"})
EVENTS = frozenset(f"{page}/gradio_api/{way}" for page in ("", "/zh") for way in ("queue/join", "run/predict"))
MOST_EVENT_BYTES = MIB  # the values of a page's fields; the largest of a full page are some 100 kB
MOST_OTHER_BYTES = 64 * 1024  # a login
FRAME_BYTES = 64 * 1024  # what a form writes around the files it sends


class BodyLimit:
    """Stands inside the guard and the login."""

    def __init__(self, app: ASGIApp, reach: Reach) -> None:
        """Stand before `app`."""
        self._app, self._most_upload = app, reach.most_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through as far as it stays within its limit; answer it with 413 where it does not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = own_path(scope)
        is_upload = path in UPLOADS
        most_else = MOST_EVENT_BYTES if path in EVENTS else MOST_OTHER_BYTES
        most = self._most_upload + FRAME_BYTES if is_upload else most_else
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > most:
            await _too_much(most)(scope, receive, send)
            return
        body = _Body(most, receive, is_upload)
        answer = body.answers(scope, receive, send)
        try:
            await self._app(scope, body.receive, answer)
        except MultiPartException:
            if body.taken <= most:
                raise
            await answer({"type": "http.response.start", "status": 413, "headers": []})


@dataclass(slots=True)
class _Body:
    """A body on its way in."""

    most: int
    source: Receive
    is_upload: bool
    taken: int = 0
    is_whole: bool = False
    is_answered: bool = False

    async def receive(self) -> Message:
        """Take the next piece. Raises MultiPartException where that is one too many, or an upload has broken off."""
        message = await self.source()
        if message["type"] == "http.request":
            self.taken += len(message.get("body", b""))
            self.is_whole = not message.get("more_body")
            if self.taken > self.most:
                raise MultiPartException("The request is larger than the maximum allowed size.")
        elif self.is_upload and not self.is_whole:
            raise MultiPartException("The upload broke off.")
        return message

    def answers(self, scope: Scope, receive: Receive, send: Send) -> Send:
        """Answer what was too much ourselves, instead of what comes of the exception above."""

        async def answer(message: Message) -> None:
            if self.taken <= self.most:
                await send(message)
            elif not self.is_answered:
                self.is_answered = True
                await _too_much(self.most)(scope, receive, send)

        return answer


def _too_much(most: int) -> ASGIApp:
    size = f"{most / GIB:.3g} GiB" if most >= GIB else f"{most / MIB:.3g} MiB" if most >= MIB else f"{most >> 10} KiB"
    hint = "Send less at once, or serve with a larger --max-upload-gb"
    return json_reply({"message": f"That is more than {size}, the most that one request may send", "hint": hint}, 413)
