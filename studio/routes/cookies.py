"""The cookie that a browser shows once it is logged in."""

import hashlib

from fastapi import Request
from fastapi.responses import Response

from backend.settings import Workspace
from studio.accounts.sessions import LONGEST_S


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


def _path(request: Request) -> str:
    return request.scope.get("root_path", "") or "/"


def _is_https(request: Request) -> bool:
    return bool(request.url.scheme == "https")
