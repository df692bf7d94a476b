"""What an evaluation has found, how far it is, and its answers row by row."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from backend.errors import NotFoundError, StudioError
from backend.store.views import RunView
from studio.i18n import Language, translator
from studio.measuring.asking import names_of
from studio.measuring.results import evaluation_view
from studio.measuring.wall import Wanted, Which, wall_page
from studio.routes.replies import json_reply, refusal
from studio.services import Services

RunPart = Annotated[str, Path(max_length=80)]
Number = Annotated[int, Query(ge=0, le=10**9)]
MetricName = Annotated[str, Query(max_length=120)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/api/runs")

    def found(run_id: str) -> RunView:
        view = services.runs.get(run_id)
        if view.spec.kind != "evaluation":
            raise NotFoundError(f"`{run_id}` is no evaluation", hint="Choose one on the Evaluate page")
        return view

    @routes.get("/{run_id}/evaluation")
    def evaluation(run_id: RunPart, language: Language = "en") -> Response:
        try:
            return json_reply(evaluation_view(found(run_id), names_of(services.runs), translator(language)))
        except StudioError as error:
            return refusal(error)

    @routes.get("/{run_id}/wall")
    def wall(run_id: RunPart, which: Which = "worst", metric: MetricName = "", start: Number = 0) -> Response:
        try:
            return json_reply(wall_page(found(run_id), Wanted(which, metric, start)))
        except StudioError as error:
            return refusal(error)

    return routes
