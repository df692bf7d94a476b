"""What `measure_load` measures, on a small workspace: each tab opens by the questions that a browser asks for it."""

import asyncio
from pathlib import Path

import httpx
import pytest

from backend.settings import Workspace
from studio.services import PREPARED
from studio.web.open_pages import MOST_KEPT
from tests.benchmarks.loaded_workspace import LONG_RUNS, take_in, write_long_run
from tests.benchmarks.measure_load import load_pages, serving
from tests.benchmarks.page_client import TABS, OpenPage
from tests.serving import Served


def test_every_tab_opens_for_several_visitors_at_once(studio: Served):
    async def visit() -> OpenPage:
        async with httpx.AsyncClient(base_url=studio.address, timeout=60) as http:
            page = OpenPage(http)
            await page.load()
            for tab in TABS:
                await page.open_tab(tab)
            return page

    async def visits() -> list[OpenPage]:
        return await asyncio.gather(*(visit() for _ in range(2)))

    pages = asyncio.run(visits())

    assert len({page.session for page in pages}) == 2
    for page in pages:
        assert page.seen  # the list of runs was told
        assert {of for of, _ in page.kept} == {"dataset/shapes"}  # and images of the one dataset were fetched
        assert {"shapes"} <= {value for value in page.values.values() if isinstance(value, str)}


@pytest.mark.long
def test_d5_memory_stays_flat_however_often_the_page_with_long_curves_is_loaded(tmp_path: Path):
    workspace = Workspace(tmp_path)
    workspace.prepare()
    (workspace.data / PREPARED).touch()
    for name in LONG_RUNS:
        write_long_run(workspace, name, 5_000)
    take_in(workspace)

    with serving(workspace) as (served, memory_mb):
        asyncio.run(load_pages(served, MOST_KEPT))
        first_mb = memory_mb()
        asyncio.run(load_pages(served, 4 * MOST_KEPT))
        last_mb = memory_mb()

    assert last_mb - first_mb < 40  # each page that Gradio kept took a megabyte and more
