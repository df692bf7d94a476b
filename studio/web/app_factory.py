"""The web app, assembled: our own routes, the page once in each language, and the guard in front of all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse

from backend.errors import StudioError
from backend.settings import STATIC
from studio.app import build
from studio.pages.data import routes as data
from studio.pages.evaluate import routes as evaluate
from studio.pages.rewards import routes as rewards
from studio.pages.runs import routes as runs
from studio.services import Services
from studio.ui.i18n import LANGUAGES, Language
from studio.ui.theme import StudioTheme
from studio.web import images, login_routes
from studio.web.account_file import AccountFile
from studio.web.allowed_hosts import NetworkAddress
from studio.web.background import BackgroundWork
from studio.web.body_limit import BodyLimit
from studio.web.event_gate import EventGate
from studio.web.login import LogIns, Sessions
from studio.web.login_gate import LoginGate
from studio.web.open_pages import MOST_PAGES, OpenPages
from studio.web.page_html import PageFiles, PageOpening
from studio.web.request_guard import RequestGuard
from studio.web.responses import on_studio_error
from studio.web.visitor_files import VisitorFiles
from studio.web.visitor_files import router as visitor_files
from studio.web.visitors import Visitors

STYLES = ("base", "components", "data", "train", "rewards", "runs", "evaluate", "playground", "guide")


def create_app(services: Services, address: NetworkAddress | None = None) -> FastAPI:
    """Assemble the app, to be reached as `address` says. Its background work starts and ends with it."""
    address, workspace = address or NetworkAddress(), services.workspace
    accounts = AccountFile(workspace)
    log_ins = LogIns(workspace, accounts, Sessions(workspace, accounts))
    pages = {language: build(services, language) for language in LANGUAGES}
    open_pages: dict[Language, OpenPages] = {}
    background = BackgroundWork(services, log_ins.sessions, open_pages.values())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        background.start()
        yield
        background.end()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.add_exception_handler(StudioError, on_studio_error)
    app.mount("/zh/ui", PageFiles(directory=STATIC))  # pages name scripts relative to their own address
    app.mount("/ui", PageFiles(directory=STATIC))  # not /static nor /assets: those are Gradio's

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/zh")
    async def without_slash() -> RedirectResponse:
        return RedirectResponse("zh/")

    for language in LANGUAGES:
        prefix = "" if language == "en" else f"/{language}"
        app.include_router(login_routes.router(workspace, log_ins, address, language), prefix=prefix)
    files = VisitorFiles(workspace)
    for prefix in ("", "/zh"):
        app.include_router(visitor_files(files, address), prefix=prefix)
    routers = (data.router, rewards.router, runs.router, evaluate.router)
    for router in (*routers, images.router):
        app.include_router(router(services))
        app.include_router(router(services), prefix="/zh")
    app = _mounted(app, pages, address)
    open_pages |= {
        language: OpenPages(page.state_holder, page._queue.event_analytics) for language, page in pages.items()
    }
    app.add_middleware(EventGate, pages=pages, open_pages=open_pages, files=files)
    app.add_middleware(PageOpening)
    app.add_middleware(BodyLimit, address=address)
    app.add_middleware(Visitors, workspace=workspace)
    app.add_middleware(LoginGate, workspace=workspace, log_ins=log_ins, address=address)
    app.add_middleware(RequestGuard, address=address)  # added last: outermost
    return app


def _mounted(app: FastAPI, pages: dict[Language, gr.Blocks], address: NetworkAddress) -> FastAPI:
    """Add the pages, each with what Gradio serves for it."""
    paths: dict[Language, str] = {"zh": "/zh", "en": "/"}  # in this order: the last one's path begins all others
    for language, path in paths.items():
        page = pages[language]
        page.state_session_capacity = MOST_PAGES
        app = gr.mount_gradio_app(app, page, path=path, **_mounting(address))
        page.has_launched = True  # until then Gradio copies any file that it is told of; mounting leaves it unsaid
    return app


def _mounting(address: NetworkAddress) -> dict[str, Any]:
    return {
        "theme": StudioTheme(),
        "css_paths": [STATIC / "css" / f"{name}.css" for name in STYLES],
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "pwa": False,
        "mcp_server": False,
        "show_error": False,
        "allowed_paths": [],
        "max_file_size": address.most_upload_bytes,
        "app_kwargs": {"openapi_url": None, "docs_url": None, "redoc_url": None},
    }
