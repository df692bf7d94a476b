"""JSON for pages that watch runs: list, curves, logs, answers and roll-outs; and the script that draws charts."""

import importlib.util
from pathlib import Path as FilePath
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, Field

from backend.errors import NotFoundError
from backend.ids import RunId, is_safe_name
from backend.jsonl import strict_json
from backend.store.runs import RunStore
from studio.pages.runs.answers import Which, answers_page, rollouts_page, rollouts_with
from studio.pages.runs.live import RunRow, RunRows, device_rows, new_points, program_notes, read_log
from studio.services import Services
from studio.web.responses import json_reply, json_text

MAX_RUNS = 24  # curves in one chart
BOKEH_SCRIPT = "server/static/js/bokeh.min.js"  # within the installed package
_DAY_S = 86_400
RunList = Annotated[str, Field(max_length=MAX_RUNS * 82)]  # ids with commas between
Cursor = Annotated[str, Field(max_length=16_384)]
RunPart = Annotated[str, Path(max_length=80)]
Number = Annotated[int, Query(ge=0, le=10**9)]
Text = Annotated[str, Query(max_length=200)]


class Watch(BaseModel):
    """All that a watching page asks in one tick; runs that are gone are left out instead of refused."""

    runs: RunList = ""  # whose curves
    key: str = "loss"
    cursor: Cursor = ""
    seen: str = ""  # version of the list that the page has
    chosen: RunList = ""  # the one whose log and notes
    offset: int = -1  # where the page is in that log


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter()
    store, rows = services.runs, RunRows(services.runs)

    @routes.get("/api/runs")
    def list_runs(seen: str = "") -> Response:
        return json_text(rows.since(seen))

    @routes.get("/api/curves")
    def curves(
        runs: Annotated[RunList, Query()] = "", key: str = "loss", cursor: Annotated[Cursor, Query()] = ""
    ) -> Response:
        return json_reply(new_points(store, _existing(store, runs), key, cursor))

    @routes.get("/api/runs/{run_id}/log")
    def log(run_id: str, offset: int = -1) -> Response:
        return json_reply(_log(_row_of(store, rows, run_id), offset))

    @routes.get("/api/runs/{run_id}/answers")
    def answers(run_id: RunPart, step: Number = 10**9, start: Number = 0, which: Which = "all") -> Response:
        return json_reply(answers_page(store.get(run_id).folder, step, start, which))

    @routes.get("/api/runs/{run_id}/rollouts")
    def rollouts(run_id: RunPart, step: Number = 10**9, start: Number = 0, text: Text = "") -> Response:
        folder, search = store.get(run_id).folder, text.strip()
        return json_reply(rollouts_with(folder, search) if search else rollouts_page(folder, step, start))

    @routes.get("/api/watch")
    def watch(query: Annotated[Watch, Query()]) -> Response:
        return json_text(_tick(services, rows, query))

    @routes.get("/ui-vendor/bokeh.min.js", include_in_schema=False)
    def chart_script() -> Response:
        return _chart_script()

    return routes


def _tick(services: Services, rows: RunRows, query: Watch) -> str:
    store = services.runs
    run_id = RunId(query.chosen)
    row, chosen = rows.get(run_id), "null"
    if row is not None:
        chosen = strict_json({"log": _log(row, query.offset), "notes": program_notes(store, run_id)})
    curves = strict_json(new_points(store, _present(rows, query.runs), query.key, query.cursor))
    devices = strict_json(device_rows(services.launcher))
    return f'{{"list":{rows.since(query.seen)},"curves":{curves},"chosen":{chosen},"devices":{devices}}}'


def _log(row: RunRow, offset: int) -> dict[str, object]:
    return read_log(row.folder, offset, is_over=row.is_over)._asdict()


def _row_of(store: RunStore, rows: RunRows, run_id: str) -> RunRow:
    """One run's row. Raises NotFoundError, naming the nearest one."""
    row = rows.get(run_id) or rows.get(store.get(run_id).id)
    if row is None:
        raise NotFoundError(f"Run `{run_id}` was removed just now", hint="Reload the page")
    return row


def _existing(store: RunStore, listed: str) -> list[RunId]:
    """The ids of a comma-separated list. Raises NotFoundError for the first that is no run."""
    run_ids = [run_id for run_id in listed.split(",") if run_id][:MAX_RUNS]
    return [store.get(run_id).id for run_id in run_ids]


def _present(rows: RunRows, listed: str) -> list[RunId]:
    """The ids of a comma-separated list that are runs."""
    run_ids = [RunId(run_id) for run_id in listed.split(",") if is_safe_name(run_id)][:MAX_RUNS]
    return [run_id for run_id in run_ids if rows.get(run_id) is not None]


def _chart_script() -> Response:
    """Hand out BokehJS from the installed package's own folder, without importing the package."""
    found = importlib.util.find_spec("bokeh")
    path = FilePath(found.origin or "").parent / BOKEH_SCRIPT if found else None
    if path is None or not path.is_file():
        message = "The chart script is missing: the Python package `bokeh` is not installed"
        return Response(
            strict_json({"message": message, "hint": "pip install bokeh"}), 404, media_type="application/json"
        )
    headers = {"Cache-Control": f"public, max-age={_DAY_S}"}
    return FileResponse(path, media_type="text/javascript", headers=headers)
