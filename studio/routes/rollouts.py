"""The answers a run drew while it learned from rewards: a page of one drawing, or what a search finds in many."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from backend.errors import StudioError
from studio.rollout_views import rollouts_page, rollouts_with
from studio.routes.replies import json_reply, refusal
from studio.services import Services

RunPart = Annotated[str, Path(max_length=80)]
Number = Annotated[int, Query(ge=0, le=10**9)]
Text = Annotated[str, Query(max_length=200)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/api/runs")

    @routes.get("/{run_id}/rollouts")
    def rollouts(run_id: RunPart, step: Number = 10**9, start: Number = 0, text: Text = "") -> Response:
        try:
            folder = services.runs.get(run_id).folder
            wanted = text.strip()
            return json_reply(rollouts_with(folder, wanted) if wanted else rollouts_page(folder, step, start))
        except StudioError as error:
            return refusal(error)

    return routes
