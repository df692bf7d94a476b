"""The studio's own scripts and styles, as browsers may keep them."""

from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles


class PageFiles(StaticFiles):
    """Files that may be kept, and are asked about each time: after an upgrade no page runs the scripts of before."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """Answer as ever, a file or that it is unchanged, with the word that it must be asked about."""
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response
