"""Who may ask what: the one door in front of every route, Gradio's included.

Gradio has no list of hosts and reflects origins, so a page on another site could drive a studio without accounts
(https://github.com/gradio-app/gradio/issues/13594). Starlette's `TrustedHostMiddleware` cannot match `[::1]:7860`.
"""

import contextlib
import re
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studio.web.allowed_hosts import NetworkAddress

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_FETCHES = frozenset({"", "same-origin", "none"})  # Sec-Fetch-Site; old browsers and programs send none
# what of Gradio's some ninety routes the pages need; an upgrade that adds one leaves it closed
GRADIO_PATHS = re.compile(
    r"/(zh/)?("
    r"|config|theme\.css|favicon\.ico|(static|assets|svelte)/.+"
    r"|gradio_api/(theme\.css|startup-events|upload|upload_progress|cancel|reset|heartbeat/\w+|queue/(join|data)|run/predict"
    r"|file=.+)"
    r")"
)
STUDIO_PATHS = re.compile(r"/(zh|healthz|(zh/)?(login|logout)|(ui|ui-vendor|api|media)/.+|zh/(ui|ui-vendor)/.+)")
LONGEST_PART = 255  # bytes between two slashes: no file has a longer name, and asking for one is an error
# Gradio builds addresses from these, whoever sent them; a proxy passes the Host header on instead
DROPPED = frozenset({b"x-forwarded-host", b"x-gradio-server"})
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


class RequestGuard:
    """Refuse other hosts, other sites' writes and closed paths before anything runs; add headers to every answer."""

    def __init__(self, app: ASGIApp, address: NetworkAddress) -> None:
        """Stand before `app`, which goes by the names that `address` knows."""
        self._app, self._address = app, address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = _refusal(scope, self._address)
        answer = self._app if refusal is None else refusal
        with contextlib.suppress(ClientDisconnect):  # whoever asked has left: there is nobody to tell
            await answer(_cleaned(scope), receive, _with_headers(send))


def own_path(scope: Scope) -> str:
    """A request's path as the studio's routes spell it, without the prefix that a proxy has stripped."""
    return str(scope["path"]).removeprefix(scope.get("root_path", ""))


def _refusal(scope: Scope, address: NetworkAddress) -> ASGIApp | None:
    headers = Headers(scope=scope)
    host = _host_of(headers)
    own_address = str((scope.get("server") or ("",))[0])
    if scope["type"] != "http" or host is None or not address.knows(host.hostname or "", own_address):
        return _say(403, "This studio does not answer to that name; `studio ui --allow-host NAME` lets it.")
    if scope["method"] not in SAFE_METHODS and not _is_own_request(headers, host.netloc.lower()):
        return _say(403, "This request comes from another site.")
    path = own_path(scope)
    is_long = any(len(part.encode()) > LONGEST_PART for part in path.split("/"))
    if is_long or not (GRADIO_PATHS.fullmatch(path) or STUDIO_PATHS.fullmatch(path)):
        return _say(404, "There is nothing here.")
    return None


def _cleaned(scope: Scope) -> Scope:
    """A request as the rest should see it: by https where the proxy says so, which harms nobody but who says it."""
    proto = Headers(scope=scope).get("x-forwarded-proto", "")
    scheme = "https" if proto.partition(",")[0].strip() == "https" else scope.get("scheme", "http")
    return {**scope, "scheme": scheme, "headers": [pair for pair in scope["headers"] if pair[0] not in DROPPED]}


def _host_of(headers: Headers) -> SplitResult | None:
    """The one Host header, where it is a plain name with or without a port."""
    hosts = headers.getlist("host")
    if len(hosts) != 1:
        return None
    try:
        parts = urlsplit(f"//{hosts[0]}")
        is_plain = parts.netloc == hosts[0] and "@" not in hosts[0] and (parts.port or True)
    except ValueError:
        return None
    return parts if is_plain else None


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
