"""The one door in front of Gradio's events: what is sent is read, bounded and compared with the page before Gradio.

Gradio sees a body made anew of what was understood, so that nothing can mean one thing here and another thing there.
What does not fit is answered in words with a 4xx. What Gradio answers tells no path of this machine.
"""

import contextlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import StudioError
from studio.ui.i18n import Language, Translate, translator
from studio.web.event_values import FindFile, ValueRefused, fitting, names_file, read_json, write_json
from studio.web.open_pages import OpenPages
from studio.web.request_guard import own_path
from studio.web.responses import json_reply
from studio.web.visitor_files import VisitorFiles
from studio.web.visitors import Visitor, visitor_in

MOST_PAGES_KNOWN = 20_000  # whose page is whose; forgotten after this many others
MOST_UNREAD = 500  # answers that wait for a page to listen; a browser reads each as it comes
_EVENT = re.compile(r"(?P<zh>/zh)?/gradio_api/(?P<act>queue/(join|data)|run/predict|cancel|reset|heartbeat/(?P<of>.+))")
_PAGE = re.compile(r"[\w-]{1,64}", re.ASCII)  # what a browser calls the page it has open: Gradio's session hash
_BODY_HEADERS = frozenset({b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"})
_NO_PAGE = {"msg": "unexpected_error", "message": "", "session_not_found": True, "success": False}


class _Call(NamedTuple):
    """One request, and the page it is for."""

    act: str
    page: gr.Blocks
    open: OpenPages
    t: Translate
    visitor: Visitor
    find: FindFile


class EventGate:
    """Stands right before Gradio."""

    def __init__(
        self, app: ASGIApp, pages: Mapping[Language, gr.Blocks], open_pages: Mapping[Language, OpenPages],
        files: VisitorFiles,
    ) -> None:  # fmt: skip
        """Stand before `app`, which serves `pages`."""
        self._app, self._pages, self._open, self._files = app, pages, open_pages, files
        self._visitor_of: OrderedDict[str, str] = OrderedDict()
        self._claiming = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let an event through as it was understood, or answer it here."""
        match = _EVENT.fullmatch(own_path(scope)) if scope["type"] == "http" else None
        if match is None:
            await self._app(scope, receive, send)
            return
        call = self._call(scope, "zh" if match["zh"] else "en", match["act"])
        try:
            if scope["method"] == "POST":
                sent = await run_in_threadpool(self._understood, call, await Request(scope, receive).body())
                scope, receive = _made_anew(scope, write_json(sent), receive)
                call.open.tidy(sent.get("session_hash", ""))
            else:
                listening = match["of"] is None  # to what the queue answers; the others only tell that they are there
                page = Request(scope).query_params.get("session_hash") if listening else match["of"]
                self._claim(call, page)
                if listening and page not in call.page._queue.pending_messages_per_session:
                    await _unknown_page()(scope, receive, send)
                    return
        except StudioError as error:
            await _refusal(error, call.t)(scope, receive, send)
        else:
            with call.open.connected(match["of"]) if match["of"] else contextlib.nullcontext():
                await self._app(scope, receive, _GradioAnswer(call, self._files, send).send)

    def _call(self, scope: Scope, language: Language, act: str) -> _Call:
        visitor = visitor_in(scope)

        def find(name: str) -> str | None:
            path = self._files.find(visitor.id, name)
            return None if path is None else str(path)

        return _Call(act, self._pages[language], self._open[language], translator(language), visitor, find)

    def _understood(self, call: _Call, body: bytes) -> dict[str, Any]:
        """What of a posted body Gradio may see. Raises StudioError with what is wrong."""
        sent = read_json(body)
        if not isinstance(sent, dict):
            raise _nonsense(call.t)
        event: dict[str, Any] = {}
        if call.act != "reset":
            event["session_hash"] = self._claim(call, sent.get("session_hash"))
            event["fn_index"] = _function(call, sent.get("fn_index"))
        if call.act in ("cancel", "reset"):
            return event | {"event_id": _event_id(call, sent.get("event_id"))}
        trigger, about = sent.get("trigger_id"), sent.get("event_data")
        if not (trigger is None or type(trigger) is int) or names_file(about):
            raise _nonsense(call.t)
        event |= {"trigger_id": trigger, "event_data": about, "data": _data(call, event, sent)}
        unread = call.page._queue.pending_messages_per_session.get(event["session_hash"])
        if call.act == "queue/join" and unread is not None and unread.qsize() > MOST_UNREAD:
            raise ValueRefused(call.t("error.unread"), hint=call.t("error.nonsense.hint"))
        return event

    def _claim(self, call: _Call, page: Any) -> str:
        """Let an open page belong to who asks for it first. Raises StudioError where it is somebody else's."""
        if not isinstance(page, str) or not _PAGE.fullmatch(page):
            raise _nonsense(call.t)
        with self._claiming:
            owner = self._visitor_of.get(page, call.visitor.id)
            if owner == call.visitor.id and not call.visitor.is_new:
                self._visitor_of[page] = owner
                self._visitor_of.move_to_end(page)
            if len(self._visitor_of) > MOST_PAGES_KNOWN:
                self._visitor_of.popitem(last=False)
        if owner != call.visitor.id:
            raise ValueRefused(call.t("error.other_page"), hint=call.t("error.nonsense.hint"))
        call.open.forget_if_full(page)
        return page


def _function(call: _Call, number: Any) -> int:
    """The number of an event of the page that is called this way."""
    event = call.page.fns.get(number) if type(number) is int else None
    if event is None or (call.act != "cancel" and (event.queue is False) != (call.act == "run/predict")):
        raise _nonsense(call.t)
    return int(event._id)


def _event_id(call: _Call, name: Any) -> str:
    if not isinstance(name, str) or not _PAGE.fullmatch(name):
        raise _nonsense(call.t)
    return name


def _data(call: _Call, event: dict[str, Any], sent: dict[str, Any]) -> list[Any]:
    """The values for the components that an event takes, in the order of its inputs."""
    inputs, values = call.page.fns[event["fn_index"]].inputs, sent.get("data")
    if not isinstance(values, list) or len(values) != len(inputs):
        raise _nonsense(call.t)
    session = call.page.state_holder.session_data.get(event["session_hash"])
    components = session.blocks_config.blocks if session else {}
    return [
        fitting(component, components.get(component._id, component), value, call.find, call.t)
        for component, value in zip(inputs, values, strict=True)
    ]


class _GradioAnswer:
    """What Gradio answers, on its way out: without paths, and with what cannot be done as what it is."""

    def __init__(self, call: _Call, files: VisitorFiles, send: Send) -> None:
        self._call, self._files, self._send = call, files, send
        self._start: Message = {}
        self._body = b""

    async def send(self, message: Message) -> None:
        """Pass a stream on piece by piece, and anything else whole."""
        if message["type"] == "http.response.start":
            self._start = message
            if self._streams:
                await self._send(message)
        elif message["type"] != "http.response.body":
            await self._send(message)
        elif self._streams:
            await self._send({**message, "body": self._named(message.get("body", b""))})
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._send_whole()

    @property
    def _streams(self) -> bool:
        return Headers(raw=self._start["headers"]).get("content-type", "").startswith("text/event-stream")

    def _named(self, body: bytes) -> bytes:
        return self._files.named(self._call.visitor.id, body)

    async def _send_whole(self) -> None:
        status, body = self._start["status"], self._named(self._body)
        if status == 500:
            status, body = _failure(body, self._call.t)
        start = {**self._start, "status": status, "headers": list(self._start["headers"])}
        MutableHeaders(scope=start)["content-length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _failure(body: bytes, t: Translate) -> tuple[int, bytes]:
    """Gradio answers 500 to whatever was raised: what a handler refused in words is no fault of the server's."""
    try:
        message = json.loads(body)
    except ValueError:
        message = {}
    if isinstance(message, dict) and message.get("error"):
        return 422, body
    return 500, write_json({"error": t("error.fault"), "title": t("error.title")})


def _refusal(error: StudioError, t: Translate) -> Response:
    """As both kinds of Gradio's events show it."""
    message = t("error.with_hint", said=error.message, hint=error.hint)
    return json_reply({"error": message, "detail": message, "title": t("error.title")}, 400)


def _unknown_page() -> Response:
    """What Gradio says of a page that it does not know, without the traceback."""
    return Response(b"data: " + write_json(_NO_PAGE) + b"\n\n", media_type="text/event-stream")


def _nonsense(t: Translate) -> ValueRefused:
    return ValueRefused(t("error.nonsense"), hint=t("error.nonsense.hint"))


def _made_anew(scope: Scope, body: bytes, receive: Receive) -> tuple[Scope, Receive]:
    """A request with another body; after it, what comes is whatever the visitor does."""
    headers = [(name, value) for name, value in scope["headers"] if name not in _BODY_HEADERS]
    message = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    bodies = [body]

    async def take() -> Message:
        return {"type": "http.request", "body": bodies.pop()} if bodies else await receive()

    return {**scope, "headers": headers + message}, take
