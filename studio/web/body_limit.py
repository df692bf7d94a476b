"""How much a request may send: counted as it comes in, whatever it says about itself."""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.web.allowed_hosts import GIB, NetworkAddress
from studio.web.request_guard import own_path
from studio.web.responses import json_reply

MIB = 1024**2
UPLOADS = frozenset({"/gradio_api/upload", "/zh/gradio_api/upload"})
EVENTS = frozenset(f"{page}/gradio_api/{way}" for page in ("", "/zh") for way in ("queue/join", "run/predict"))
MOST_EVENT_BYTES = MIB  # the values of a page's fields; the largest of a full page are some 100 kB
MOST_OTHER_BYTES = 64 * 1024  # a login
FRAME_BYTES = 64 * 1024  # what a form writes around the files it sends


class BodyTooLargeError(Exception):
    """More came than may be sent; whoever reads a body lets it pass, and keeps nothing of what came."""


class BodyLimit:
    """Stands inside the guard and the login."""

    def __init__(self, app: ASGIApp, address: NetworkAddress) -> None:
        """Stand before `app`."""
        self._app, self._most_upload = app, address.most_upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through as far as it stays within its limit; answer it with 413 where it does not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = own_path(scope)
        most = MOST_EVENT_BYTES if path in EVENTS else MOST_OTHER_BYTES
        most = self._most_upload + FRAME_BYTES if path in UPLOADS else most
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > most:
            await _too_much(most)(scope, receive, send)
            return
        counted = _Counted(most, receive, send)
        try:
            await self._app(scope, counted.receive, counted.send)
        except BodyTooLargeError:
            if not counted.is_answered:
                await _too_much(most)(scope, receive, send)


@dataclass(slots=True)
class _Counted:
    """A request whose body is counted on its way in."""

    most: int
    source: Receive
    sink: Send
    taken: int = 0
    is_answered: bool = False

    async def receive(self) -> Message:
        """Take the next piece. Raises BodyTooLargeError where that is one too many."""
        message = await self.source()
        self.taken += len(message.get("body", b""))
        if self.taken > self.most:
            raise BodyTooLargeError
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on."""
        self.is_answered = True
        await self.sink(message)


def _too_much(most: int) -> ASGIApp:
    size = f"{most / GIB:.3g} GiB" if most >= GIB else f"{most / MIB:.3g} MiB" if most >= MIB else f"{most >> 10} KiB"
    hint = "Send less at once, or serve with a larger --max-upload-gb"
    return json_reply({"message": f"That is more than {size}, the most that one request may send", "hint": hint}, 413)
