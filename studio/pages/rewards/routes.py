"""What a dry run of rewards found, and how far it is while it runs."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import Response

from studio.pages.rewards.dry_runs import check_view
from studio.services import Services
from studio.web.responses import json_reply

RunPart = Annotated[str, Path(max_length=80)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/api/runs")

    @routes.get("/{run_id}/check")
    def check(run_id: RunPart) -> Response:
        return json_reply(check_view(services.runs.get(run_id)))

    return routes
