"""The login page without Gradio, its answer, logging out; and the gate before everything where there are accounts."""

import html
import re
from string import Template
from typing import Annotated
from urllib.parse import parse_qs, quote, urlsplit

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from backend.settings import STATIC, Workspace
from studio.ui.i18n import Language, translator
from studio.web.allowed_hosts import NetworkAddress
from studio.web.login import Attempt, LogIns, may_enter
from studio.web.login_gate import drop_token, set_token, token_of

PAGES: dict[str, Language] = {"/": "en", "/zh/": "zh"}
HOME: dict[Language, str] = {language: path for path, language in PAGES.items()}
MOST_NEXT = 2000  # characters
_TEXTS = ("title", "heading", "about", "name", "password", "button", "no_account", "other")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
MOST_FORM_BYTES = 8192
_NOT_KEPT = {"Cache-Control": "no-store"}


def login_page(language: Language, destination: str = "", typed: str = "", message: str = "") -> str:
    """Draw the page.

    Args:
        language: the page's.
        destination: where to go afterwards, as it came from outside.
        typed: the name that was typed before.
        message: what went wrong before, in words.
    """
    t = translator(language)
    words = {key: t(f"login.{key}") for key in _TEXTS}
    after = next_page(destination, language)
    asks = "" if after == HOME[language] else f"?next={quote(after, safe='')}"
    filled = words | {
        "app": t("app.name"), "lang": "zh-CN" if language == "zh" else "en",
        "next": after, "typed": typed, "said": message,
        "other_lang": "en" if language == "zh" else "zh-CN",
        "other_page": ("../login" if language == "zh" else "zh/login") + asks,
        "first": "" if typed else "autofocus", "second": "autofocus" if typed else "",
        "hidden": "" if message else "hidden",
    }  # fmt: skip
    page = (STATIC / "pages" / "login.html").read_text(encoding="utf-8")
    return Template(page).substitute({key: html.escape(text) for key, text in filled.items()})


def next_page(destination: str, language: Language) -> str:
    """A page of this studio with its question, as `next=` may name it; the page of the language for anything else."""
    try:
        parts = urlsplit(destination)
    except ValueError:
        return HOME[language]
    is_plain = len(destination) <= MOST_NEXT and not _UNSAFE.search(destination)
    if (
        not is_plain
        or parts.scheme
        or parts.netloc
        or parts.path not in PAGES
        or not destination.startswith(parts.path)
    ):
        return HOME[language]
    return parts.path + (f"?{quote(parts.query, safe='=&%+,:;@/!$()*~-._')}" if parts.query else "")


def from_login(page: str, language: Language) -> str:
    """The way from a language's login page to another page, relative, so that any proxy's prefix stays."""
    return ("." if language == "en" else "..") + page


def router(workspace: Workspace, log_ins: LogIns, address: NetworkAddress, language: Language) -> APIRouter:
    """The routes of one language."""
    routes = APIRouter()

    def needs_none(request: Request) -> bool:
        """Whether there is nothing to log in to: no accounts, or logged in already."""
        account = log_ins.sessions.account_of(token_of(request, workspace))
        return may_enter(log_ins.accounts, account, is_public=address.is_public)

    @routes.get("/login")
    def page(request: Request, destination: Annotated[str, Query(alias="next")] = "") -> Response:
        if needs_none(request):
            return _go(from_login(next_page(destination, language), language))
        return HTMLResponse(login_page(language, destination), headers=_NOT_KEPT)

    @routes.post("/login")
    async def log_in(request: Request) -> Response:
        typed = await _form(request)
        name, destination = typed.get("name", ""), typed.get("next", "")
        attempt = Attempt(name, typed.get("password", ""), address_of(request, address), token_of(request, workspace))
        answer = await log_ins.answer(attempt)
        if answer.token:
            done = _go(from_login(next_page(destination, language), language))
            set_token(done, workspace, request, answer.token)
            return done
        message, status, headers = _refused(answer.wait_s, language)
        return HTMLResponse(login_page(language, destination, name[:80], message), status, headers=_NOT_KEPT | headers)

    @routes.post("/logout")
    def log_out(request: Request) -> Response:
        log_ins.log_out(token_of(request, workspace))
        done = _go("login")
        drop_token(done, workspace, request)
        return done

    return routes


def address_of(request: Request, address: NetworkAddress) -> str:
    """Where a request comes from; what X-Forwarded-For claims counts only where the proxy is trusted, and its last."""
    forwarded = request.headers.getlist("x-forwarded-for") if address.trusts_proxy else []
    last = forwarded[-1].rpartition(",")[2].strip()[:60] if forwarded else ""
    return last or (request.client.host if request.client else "")


def _refused(wait_s: float, language: Language) -> tuple[str, int, dict[str, str]]:
    t = translator(language)
    if not wait_s:
        return t("login.wrong"), 401, {}
    wait = max(1, round(wait_s))
    message = t("login.wait", s=wait) if wait < 90 else t("login.wait_minutes", min=round(wait / 60))
    return message, 429, {"Retry-After": str(wait)}


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
