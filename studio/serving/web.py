"""The web app, assembled: our own routes, the page once in each language, and the guard in front of all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse

from backend.settings import STATIC
from studio.accounts.account_file import AccountFile
from studio.accounts.logging_in import LogIns
from studio.accounts.sessions import Sessions
from studio.app import build
from studio.i18n import LANGUAGES, Language
from studio.routes import answers, datasets, evaluations, login, media, metrics, rewards, rollouts
from studio.services import Services
from studio.serving.body_limit import BodyLimit
from studio.serving.event_door import EventDoor
from studio.serving.guard import Guard
from studio.serving.login_gate import LoginGate
from studio.serving.open_pages import MOST_PAGES, OpenPages
from studio.serving.page_files import PageFiles
from studio.serving.page_opening import PageOpening
from studio.serving.reach import Reach
from studio.serving.upkeep import Upkeep
from studio.serving.visitor_files import VisitorFiles
from studio.serving.visitor_files import router as visitor_files
from studio.serving.visitors import Visitors
from studio.theme import StudioTheme

STYLES = ("base", "data", "train", "rewards", "runs", "evaluate", "playground", "guide")


def create_app(services: Services, reach: Reach | None = None) -> FastAPI:
    """Assemble the app, to be reached as `reach` says. Its background work starts and ends with it."""
    reach, workspace = reach or Reach(), services.workspace
    accounts = AccountFile(workspace)
    log_ins = LogIns(workspace, accounts, Sessions(workspace, accounts))
    pages = {language: build(services, language) for language in LANGUAGES}
    open_pages: dict[Language, OpenPages] = {}
    upkeep = Upkeep(services, log_ins.sessions, open_pages.values())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        upkeep.start()
        yield
        upkeep.end()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
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
        app.include_router(login.router(workspace, log_ins, reach, language), prefix=prefix)
    files = VisitorFiles(workspace)
    for prefix in ("", "/zh"):
        app.include_router(visitor_files(files, reach), prefix=prefix)
    for routes in (metrics, answers, rewards, datasets, media, rollouts, evaluations):
        app.include_router(routes.router(services))
        app.include_router(routes.router(services), prefix="/zh")
    app = _mounted(app, pages, reach)
    open_pages |= {
        language: OpenPages(page.state_holder, page._queue.event_analytics) for language, page in pages.items()
    }
    app.add_middleware(EventDoor, pages=pages, open_pages=open_pages, files=files)
    app.add_middleware(PageOpening)
    app.add_middleware(BodyLimit, reach=reach)
    app.add_middleware(Visitors, workspace=workspace)
    app.add_middleware(LoginGate, workspace=workspace, log_ins=log_ins, reach=reach)
    app.add_middleware(Guard, reach=reach)  # added last: outermost
    return app


def _mounted(app: FastAPI, pages: dict[Language, gr.Blocks], reach: Reach) -> FastAPI:
    """Add the pages, each with what Gradio serves for it."""
    paths: dict[Language, str] = {"zh": "/zh", "en": "/"}  # in this order: the last one's path begins all others
    for language, path in paths.items():
        page = pages[language]
        page.state_session_capacity = MOST_PAGES
        app = gr.mount_gradio_app(app, page, path=path, **_mounting(reach))
        page.has_launched = True  # until then Gradio copies any file that it is told of; mounting leaves it unsaid
    return app


def _mounting(reach: Reach) -> dict[str, Any]:
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
        "max_file_size": reach.most_upload_bytes,
        "app_kwargs": {"openapi_url": None, "docs_url": None, "redoc_url": None},
    }
