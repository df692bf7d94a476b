"""The login page, its answer, and logging out."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend.settings import Workspace
from studio.accounts.logging_in import Attempt, LogIns, may_enter
from studio.i18n import Language, translator
from studio.login_page import from_login, login_page, next_page
from studio.routes.cookies import drop_token, set_token, token_of
from studio.serving.reach import Reach

MOST_FORM_BYTES = 8192
_NOT_KEPT = {"Cache-Control": "no-store"}


def router(workspace: Workspace, log_ins: LogIns, reach: Reach, language: Language) -> APIRouter:
    """The routes of one language."""
    routes = APIRouter()

    def needs_none(request: Request) -> bool:
        """Whether there is nothing to log in to: no accounts, or logged in already."""
        account = log_ins.sessions.account_of(token_of(request, workspace))
        return may_enter(log_ins.accounts, account, is_public=reach.is_public)

    @routes.get("/login")
    def page(request: Request, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
        if needs_none(request):
            return _go(from_login(next_page(wanted, language), language))
        return HTMLResponse(login_page(language, wanted), headers=_NOT_KEPT)

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        typed = await _form(request)
        name, wanted = typed.get("name", ""), typed.get("next", "")
        attempt = Attempt(name, typed.get("password", ""), address_of(request, reach), token_of(request, workspace))
        answer = await log_ins.answer(attempt)
        if answer.token:
            done = _go(from_login(next_page(wanted, language), language))
            set_token(done, workspace, request, answer.token)
            return done
        said, status, headers = _refused(answer.wait_s, language)
        return HTMLResponse(login_page(language, wanted, name[:80], said), status, headers=_NOT_KEPT | headers)

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        log_ins.log_out(token_of(request, workspace))
        done = _go("login")
        drop_token(done, workspace, request)
        return done

    return routes


def address_of(request: Request, reach: Reach) -> str:
    """Where a request comes from; what X-Forwarded-For claims counts only where the proxy is trusted, and its last."""
    forwarded = request.headers.getlist("x-forwarded-for") if reach.trusts_proxy else []
    last = forwarded[-1].rpartition(",")[2].strip()[:60] if forwarded else ""
    return last or (request.client.host if request.client else "")


def _refused(wait_s: float, language: Language) -> tuple[str, int, dict[str, str]]:
    t = translator(language)
    if not wait_s:
        return t("login.wrong"), 401, {}
    wait = max(1, round(wait_s))
    said = t("login.wait", s=wait) if wait < 90 else t("login.wait_minutes", min=round(wait / 60))
    return said, 429, {"Retry-After": str(wait)}


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form; none where it is no form, or longer than any that a person fills in."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_FORM_BYTES:
            return {}
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in fields.items()}


def _go(address: str) -> RedirectResponse:
    return RedirectResponse(address, 303, headers=_NOT_KEPT)
