"""The web app, assembled: our own routes, the page once in each language, and the guard in front of all of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

from backend.settings import STATIC
from studio.app import build
from studio.routes import answers, datasets, evaluations, media, metrics, rewards, rollouts
from studio.services import Services
from studio.serving.guard import Guard
from studio.serving.page_opening import PageOpening
from studio.serving.upkeep import Upkeep
from studio.theme import StudioTheme

MAX_FILE_SIZE = "20gb"  # of one uploaded file; what it unpacks to has limits of its own
STYLES = ("base", "data", "train", "rewards", "runs", "evaluate", "playground", "guide")


def create_app(services: Services) -> FastAPI:
    """Assemble the app. Its background work starts and ends with it."""
    upkeep = Upkeep(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        upkeep.start()
        yield
        upkeep.end()

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.mount("/zh/ui", StaticFiles(directory=STATIC))  # pages name scripts relative to their own address
    app.mount("/ui", StaticFiles(directory=STATIC))  # not /static nor /assets: those are Gradio's

    @app.get("/healthz")
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.get("/zh")
    async def without_slash() -> RedirectResponse:
        return RedirectResponse("zh/")

    for routes in (metrics, answers, rewards, datasets, media, rollouts, evaluations):
        app.include_router(routes.router(services))
        app.include_router(routes.router(services), prefix="/zh")
    app = gr.mount_gradio_app(app, build(services, "zh"), path="/zh", **_mounting())
    app = gr.mount_gradio_app(app, build(services, "en"), path="/", **_mounting())
    app.add_middleware(PageOpening)
    app.add_middleware(Guard)  # added last: outermost
    return app


def _mounting() -> dict[str, Any]:
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
        "max_file_size": MAX_FILE_SIZE,
        "app_kwargs": {"openapi_url": None, "docs_url": None, "redoc_url": None},
    }
