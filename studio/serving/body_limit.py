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

UPLOADS = frozenset({"/gradio_api/upload", "/zh/gradio_api/upload"})
MOST_OTHER_BYTES = 16 * 1024**2  # of anything that is no upload: the values of one page's fields
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
        is_upload = own_path(scope) in UPLOADS
        most = self._most_upload + FRAME_BYTES if is_upload else MOST_OTHER_BYTES
        told = Headers(scope=scope).get("content-length", "")
        if told.isdecimal() and int(told) > most:
            await _too_much(most)(scope, receive, send)
            return
        body = _Body(most, receive, is_upload)
        await self._app(scope, body.receive, body.answers(scope, receive, send))


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
    size = f"{most / GIB:.3g} GiB" if most >= GIB else f"{most / 1024**2:.3g} MiB"
    hint = "Send less at once, or serve with a larger --max-upload-gb"
    return json_reply({"message": f"That is more than {size}, the most that one request may send", "hint": hint}, 413)
