"""The answers a run gave to held-out rows, a page at a time."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from backend.errors import StudioError
from studio.answer_views import Which, answers_page
from studio.routes.replies import json_reply, refusal
from studio.services import Services

RunPart = Annotated[str, Path(max_length=80)]
Number = Annotated[int, Query(ge=0, le=10**9)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/api/runs")

    @routes.get("/{run_id}/answers")
    def answers(run_id: RunPart, step: Number = 10**9, start: Number = 0, which: Which = "all") -> Response:
        try:
            return json_reply(answers_page(services.runs.get(run_id).folder, step, start, which))
        except StudioError as error:
            return refusal(error)

    return routes
