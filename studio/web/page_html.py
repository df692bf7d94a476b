"""The page as it is sent, language and theme first; and the studio's own scripts and styles."""

import asyncio
import re
from collections import OrderedDict
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.ui.i18n import Language
from studio.web.request_guard import own_path

THEME_KEY = "studio.ui.theme"  # in localStorage: "dark" or "light"; nothing means as the system has it
MOST_MADE = 32  # half a megabyte each: a page may be called by several names
_PAGES: dict[str, Language] = {"/": "en", "/config": "en", "/zh/": "zh", "/zh/config": "zh"}
_NAMED_BY = ("host", "x-forwarded-proto")  # what Gradio makes a page's own address of
_TAGS: dict[Language, str] = {"en": "en", "zh": "zh-CN"}
_OUTSIDE = re.compile(rb'\s*<meta\s+(property|name)="(og|twitter):[^>]*>|\s*<link[^>]+href="https://[^>]*>')
_CHARSET = b'<meta charset="utf-8" />'
_SCRIPT = """<script>
Object.defineProperty(navigator, "language", {get: () => "%(tag)s"});
Object.defineProperty(navigator, "languages", {get: () => ["%(tag)s"]});
(() => {
  const chosen = () => { try { return localStorage.getItem("%(key)s") } catch { return null } };
  const apply = () => {
    const wanted = chosen();
    if (wanted && document.body.classList.contains("dark") !== (wanted === "dark"))
      document.body.classList.toggle("dark", wanted === "dark");
  };
  new MutationObserver((_, watcher) => {
    if (!document.body) return;
    watcher.disconnect();
    apply();
    new MutationObserver(apply).observe(document.body, {attributeFilter: ["class"]});
  }).observe(document.documentElement, {childList: true});
})();
</script>"""


class PageFiles(StaticFiles):
    """Files that may be kept, and are asked about each time: after an upgrade no page runs the scripts of before."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Answer as ever, a file or that it is unchanged, with the word that it must be asked about."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


class PageOpening:
    """Answers the two pages and their settings, each made once for the address that it is called by.

    Gradio makes them anew for each request, in 60 ms of a whole core; they are the same for everybody.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app
        self._made: OrderedDict[tuple[str, ...], Response] = OrderedDict()
        self._making = asyncio.Semaphore(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a page with its head rewritten; everything else passes untouched, streams included."""
        path = own_path(scope) if scope["type"] == "http" and scope["method"] == "GET" else ""
        if path not in _PAGES:
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        address = (path, scope.get("root_path", ""), scope["scheme"], *(headers.get(name, "") for name in _NAMED_BY))
        async with self._making:
            answer = self._made.get(address) or await self._make(scope, receive, _PAGES[path])
        if answer.status_code == 200:
            self._made[address] = answer
            self._made.move_to_end(address)
            if len(self._made) > MOST_MADE:
                self._made.popitem(last=False)
        await answer(scope, receive, send)

    async def _make(self, scope: Scope, receive: Receive, language: Language) -> Response:
        """Let Gradio make it, without what was asked beside it."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")

        await self._app({**scope, "headers": headers, "query_string": b""}, receive, hold)
        kind = Headers(raw=start["headers"]).get("content-type", "")
        body = opened(body, language) if kind.startswith("text/html") else body
        return Response(body, start["status"], media_type=kind)


def opened(page: bytes, language: Language) -> bytes:
    """Say the language, put our script first in the head, and drop the addresses of other sites."""
    tag = _TAGS[language]
    script = _SCRIPT % {"tag": tag, "key": THEME_KEY}
    page = _OUTSIDE.sub(b"", page).replace(b'lang="en"', f'lang="{tag}"'.encode(), 1)
    return page.replace(_CHARSET, _CHARSET + script.encode(), 1)
