"""Who asks: an account, or without one a browser, known by a cookie that says nothing else.

What somebody uploads, and the page that somebody has open, are theirs alone (`visitor_files`, `event_gate`).
"""

import hashlib
import re
import secrets
from typing import NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.settings import Workspace
from studio.web.login_gate import account_in, cookie_name
from studio.web.request_guard import own_path

VISITOR = "studio.visitor"  # in a request's scope: whose it is
_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)
_SETS_COOKIE = re.compile(r"(/zh)?(/|/gradio_api/.+)")  # pages, and what programs call without opening one


class Visitor(NamedTuple):
    """Whoever asks."""

    id: str  # 32 hexadecimal digits, the same for all requests of an account, or of a browser
    is_new: bool = False  # it has no cookie yet, so that its next request may come as somebody else's


class Visitors:
    """Stands inside the login: names the visitor of every request, and gives a browser its cookie with its page."""

    def __init__(self, app: ASGIApp, workspace: Workspace) -> None:
        """Stand before `app`."""
        self._app, self._cookie = app, visitor_cookie(workspace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its visitor."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        account = account_in(scope)
        cookie = cookie_parser(Headers(scope=scope).get("cookie", "")).get(self._cookie, "")
        is_known = bool(account) or _TOKEN.fullmatch(cookie) is not None
        token = cookie if is_known else secrets.token_urlsafe(32)
        visitor = Visitor(_digest(f"account {account}" if account else f"browser {token}"), not is_known)
        gives = visitor.is_new and _SETS_COOKIE.fullmatch(own_path(scope)) is not None
        answers = self._with_cookie(scope, token, send) if gives else send
        await self._app({**scope, VISITOR: visitor}, receive, answers)

    def _with_cookie(self, scope: Scope, token: str, send: Send) -> Send:
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        cookie = f"{self._cookie}={token}; Path={scope.get('root_path', '') or '/'}; HttpOnly; SameSite=Lax{secure}"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": list(message.get("headers", []))}
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        return answer


def visitor_in(scope: Scope) -> Visitor:
    """Whom a request comes from."""
    visitor = scope[VISITOR]
    assert isinstance(visitor, Visitor)
    return visitor


def visitor_cookie(workspace: Workspace) -> str:
    """The cookie's name; as with logins, one for each workspace."""
    return f"{cookie_name(workspace)}-visitor"


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]
