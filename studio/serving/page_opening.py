"""What stands first in a page: its language, and the theme the visitor chose, before Gradio draws anything."""

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.i18n import Language

THEME_KEY = "studio.theme"  # in localStorage: "dark" or "light"; nothing means as the system has it
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


class PageOpening:
    """Rewrite the head of the two HTML pages; everything else passes untouched, streams included."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a page with its head rewritten; its body is held until it is whole."""
        language = _language_of(scope)
        if language is None:
            await self._app(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        start: Message = {}
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
            elif message["type"] != "http.response.body":
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body"):
                    await _send_opened(start, body, language, send)

        await self._app({**scope, "headers": headers}, receive, hold)


def opened(page: bytes, language: Language) -> bytes:
    """Say the language, put our script first in the head, and drop the addresses of other sites."""
    tag = _TAGS[language]
    script = _SCRIPT % {"tag": tag, "key": THEME_KEY}
    page = _OUTSIDE.sub(b"", page).replace(b'lang="en"', f'lang="{tag}"'.encode(), 1)
    return page.replace(_CHARSET, _CHARSET + script.encode(), 1)


async def _send_opened(start: Message, body: bytes, language: Language, send: Send) -> None:
    headers = Headers(raw=start["headers"])
    if headers.get("content-type", "").startswith("text/html"):
        body = opened(body, language)
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
    await send({**start, "headers": [*kept, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def _language_of(scope: Scope) -> Language | None:
    """The language of a page's address; None where it is no page."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return None
    pages: dict[str, Language] = {"/": "en", "/zh/": "zh"}
    return pages.get(scope["path"].removeprefix(scope.get("root_path", "")))
