"""What `measure_load` measures, on a small workspace: each tab opens by the questions that a browser asks for it."""

import asyncio

import httpx

from tests.scripts.page_client import TABS, OpenPage
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
        assert {of for of, _ in page.kept} == {"dataset/shapes"}  # and pictures of the one dataset were fetched
        assert {"shapes"} <= {value for value in page.values.values() if isinstance(value, str)}
