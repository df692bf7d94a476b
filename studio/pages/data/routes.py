"""Rows of a dataset a page at a time, and its problems as a table to download."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response

from backend.datasets.store import DatasetStore
from studio.services import Services
from studio.ui.views import row_view
from studio.web.responses import json_reply

MOST_ROWS = 60  # in one page
MAX_SEARCH = 200  # characters
Name = Annotated[str, Path(max_length=80)]
Start = Annotated[int, Query(ge=0, le=10**9)]
Count = Annotated[int, Query(ge=1, le=MOST_ROWS)]
Search = Annotated[str, Query(max_length=MAX_SEARCH)]
Part = Literal["", "train", "validation", "test"]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/api/datasets")
    store = services.datasets

    @routes.get("/{name}/rows")
    def rows(name: Name, start: Start = 0, count: Count = 12, search: Search = "", split: Part = "") -> Response:
        return json_reply(_page(store, name, (start, count), search, split))

    @routes.get("/{name}/problems.csv")
    def problems(name: Name) -> Response:
        table = store.problems_csv(name)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}-problems.csv"'
        }  # the name was found: it is safe
        return Response("\ufeff" + table, media_type="text/csv; charset=utf-8", headers=headers)

    return routes


def _page(store: DatasetStore, name: str, at: tuple[int, int], search: str, split: Part) -> dict[str, object]:
    page = store.page(name, start=at[0], count=at[1], search=search, split=split or None)
    return {"total": page.total, "start": at[0], "rows": [row_view(name, row) for row in page.rows]}
