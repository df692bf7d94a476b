"""What an evaluation has found, how far it is, and its answers row by row."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from backend.errors import NotFoundError
from backend.store.views import RunView
from studio.models import names_of
from studio.pages.evaluate.answers import RowQuery, Which, wall_page
from studio.pages.evaluate.results import RunningMeans, evaluation_view
from studio.services import Services
from studio.ui.i18n import Language, translator
from studio.web.responses import json_reply

RunPart = Annotated[str, Path(max_length=80)]
Number = Annotated[int, Query(ge=0, le=10**9)]
MetricName = Annotated[str, Query(max_length=120)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes, running = APIRouter(prefix="/api/runs"), RunningMeans()

    def find_evaluation(run_id: str) -> RunView:
        view = services.runs.get(run_id)
        if view.spec.kind != "evaluation":
            raise NotFoundError(f"`{run_id}` is no evaluation", hint="Choose one on the Evaluate page")
        return view

    @routes.get("/{run_id}/evaluation")
    def evaluation(run_id: RunPart, language: Language = "en") -> Response:
        view = find_evaluation(run_id)
        return json_reply(evaluation_view(view, names_of(services.runs, view.spec), running, translator(language)))

    @routes.get("/{run_id}/wall")
    def wall(run_id: RunPart, which: Which = "worst", metric: MetricName = "", start: Number = 0) -> Response:
        return json_reply(wall_page(find_evaluation(run_id), RowQuery(which, metric, start)))

    return routes
