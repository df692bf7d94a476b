"""Where there are accounts: nothing but the login page without a login; and the cookie a logged-in browser shows."""

import hashlib
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.settings import Workspace
from studio.web.account_file import Account
from studio.web.allowed_hosts import NetworkAddress
from studio.web.login import LONGEST_S, LogIns, may_enter
from studio.web.request_guard import own_path
from studio.web.responses import json_reply

ACCOUNT = "studio.account"  # in a request's scope: whose it is
# what works without a login; everything that is not here needs one
OPEN_PATHS = frozenset(
    {"/healthz"}
    | {
        f"{language}/{path}"
        for language in ("", "/zh")
        for path in ("login", "logout", "ui/css/login.css", "ui/js/login.js", "ui/logo.svg")
    }
)
LOGIN_OF = {"/": "login", "/zh/": "login", "/zh": "zh/login"}  # from a page to its login, relative to its address


def cookie_name(workspace: Workspace) -> str:
    """One for each workspace: browsers send cookies to every port of a host, and two studios may share one."""
    return f"studio-{hashlib.sha256(str(workspace.root).encode()).hexdigest()[:10]}"


def set_token(answer: Response, workspace: Workspace, request: Request, token: str) -> None:
    """Let the browser keep a token, out of reach of scripts and other sites, on this studio's paths only."""
    answer.set_cookie(
        cookie_name(workspace), token, max_age=int(LONGEST_S), path=_path(request), secure=_is_https(request),
        httponly=True, samesite="lax",
    )  # fmt: skip


def drop_token(answer: Response, workspace: Workspace, request: Request) -> None:
    """Let the browser forget it."""
    answer.delete_cookie(
        cookie_name(workspace), path=_path(request), secure=_is_https(request), httponly=True, samesite="lax"
    )


def token_of(request: Request, workspace: Workspace) -> str:
    """The token that a request shows; empty without one."""
    return request.cookies.get(cookie_name(workspace), "")


class LoginGate:
    """Stands inside the guard. Pages lead to the login; everything else is told that it needs one."""

    def __init__(self, app: ASGIApp, workspace: Workspace, log_ins: LogIns, address: NetworkAddress) -> None:
        """Stand before `app`."""
        self._app, self._log_ins, self._is_public = app, log_ins, address.is_public
        self._cookie = cookie_name(workspace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through with the name of its account, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        token = cookie_parser(Headers(scope=scope).get("cookie", "")).get(self._cookie, "")
        account = self._log_ins.sessions.account_of(token)
        if account or own_path(scope) in OPEN_PATHS or self._may_enter(None):
            ends = self._while_allowed(token, send) if own_path(scope) not in OPEN_PATHS else send
            await self._app({**scope, ACCOUNT: account}, receive, ends)
        else:
            await _turned_away(scope)(scope, receive, send)

    def _may_enter(self, account: Account | None) -> bool:
        return may_enter(self._log_ins.accounts, account, is_public=self._is_public)

    def _while_allowed(self, token: str, send: Send) -> Send:
        """End a stream at its next piece once its session is over; whoever streams sees that nobody listens."""
        is_over = False

        async def send_allowed(message: Message) -> None:
            nonlocal is_over
            if is_over:
                return
            if message["type"] == "http.response.body" and message.get("more_body"):
                is_over = not self._may_enter(self._log_ins.sessions.account_of(token))
            await send({"type": "http.response.body", "body": b""} if is_over else message)

        return send_allowed


def account_in(scope: Scope) -> str:
    """The name of the account that a request belongs to; empty without a login."""
    account = scope.get(ACCOUNT)
    return account.name if isinstance(account, Account) else ""


def _path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"


def _is_https(request: Request) -> bool:
    return bool(request.url.scheme == "https")


def _turned_away(scope: Scope) -> ASGIApp:
    page = LOGIN_OF.get(own_path(scope))
    if page is None or scope["method"] not in ("GET", "HEAD"):
        return json_reply({"message": "This needs a login", "hint": "Open the page and log in"}, 401)
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = f"?next={quote(own_path(scope) + '?' + query, safe='')}" if query else ""
    return RedirectResponse(page + wanted, 303, headers={"Cache-Control": "no-store"})
