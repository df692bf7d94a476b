"""Who may ask what: the one door in front of every route, Gradio's included.

Gradio has no list of hosts and reflects origins, so a page on another site could drive a studio without accounts
(https://github.com/gradio-app/gradio/issues/13594). Starlette's `TrustedHostMiddleware` cannot match `[::1]:7860`.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_FETCHES = frozenset({"", "same-origin", "none"})  # Sec-Fetch-Site; old browsers and programs send none
# what of Gradio's some ninety routes the pages need; an upgrade that adds one leaves it closed
GRADIO_PATHS = re.compile(
    r"/(zh/)?("
    r"|config|theme\.css|favicon\.ico|(static|assets|svelte)/.+"
    r"|gradio_api/(theme\.css|startup-events|upload|upload_progress|cancel|reset|heartbeat/\w+|queue/(join|data)|run/predict"
    r"|file=/.+)"
    r")"
)
STUDIO_PATHS = re.compile(r"/(zh|healthz|(ui|ui-vendor|api|media)/.+|zh/(ui|ui-vendor)/.+)")
HEADERS = {
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
        b"media-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class Guard:
    """Refuse other hosts, other sites' writes and closed paths before anything runs; add headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope)
        answer = self._app if refusal is None else refusal
        await answer(scope, receive, _with_headers(send))


def is_loopback(name: str) -> bool:
    """Tell whether a host's name, without port, means this machine only."""
    plain = name.strip("[]").rstrip(".").lower()
    if plain == "localhost":
        return True
    try:
        return ipaddress.ip_address(plain).is_loopback
    except ValueError:
        return False


def _refusal(scope: Scope) -> ASGIApp | None:
    headers = Headers(scope=scope)
    host = _host_of(headers)
    if scope["type"] != "http" or host is None:
        return _say(403, "This studio answers on localhost only.")
    if scope["method"] not in SAFE_METHODS and not _is_own_request(headers, host):
        return _say(403, "This request comes from another site.")
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    if not (GRADIO_PATHS.fullmatch(path) or STUDIO_PATHS.fullmatch(path)):
        return _say(404, "There is nothing here.")
    return None


def _host_of(headers: Headers) -> str | None:
    """The one Host header, in lower case, where it names this machine."""
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return None
    try:
        parts = urlsplit(f"//{hosts[0]}")
        is_plain = parts.netloc == hosts[0] and "@" not in hosts[0] and (parts.port or True)
    except ValueError:
        return None
    return hosts[0].lower() if is_plain and is_loopback(parts.hostname or "") else None


def _is_own_request(headers: Headers, host: str) -> bool:
    origin = headers.get("origin")
    if headers.get("sec-fetch-site", "") not in OWN_FETCHES:
        return False
    return origin is None or origin.lower() in (f"http://{host}", f"https://{host}")


def _say(status: int, text: str) -> ASGIApp:
    return PlainTextResponse(f"{text}\n", status)


def _with_headers(send: Send) -> Send:
    """Add our headers, and drop what Gradio says to other origins."""

    async def send_guarded(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value) for name, value in message.get("headers", [])
                if not name.lower().startswith(b"access-control-") and name.lower() not in HEADERS
            ]  # fmt: skip
            message = {**message, "headers": [*kept, *HEADERS.items()]}
        await send(message)

    return send_guarded
