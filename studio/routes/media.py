"""Pictures by id, never by path: those of datasets, and those that visitors asked about."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathPart
from fastapi.responses import PlainTextResponse, Response
from PIL import Image

from backend.errors import StudioError
from studio.services import Services
from studio.uploads.asked_pictures import asked_picture

THUMBNAIL_PX = 320  # the longer side
CACHED = 600  # thumbnails of some 10 kB each
_FOREVER = {"Cache-Control": "private, max-age=86400, immutable"}  # a name is a digest: its content never changes

DatasetPart = Annotated[str, PathPart(max_length=80)]
PicturePart = Annotated[str, PathPart(max_length=120)]


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/media")

    @routes.get("/asked/{picture}")
    def asked(picture: PicturePart, thumb: bool = False) -> Response:
        path = asked_picture(services.workspace, picture)
        return _missing() if path is None else _picture(path, thumb)

    @routes.get("/dataset/{dataset}/{picture}")
    def of_dataset(dataset: DatasetPart, picture: PicturePart, thumb: bool = False) -> Response:
        try:
            path = services.datasets.picture(dataset, f"images/{picture}")
        except StudioError:
            return _missing()
        return _picture(path, thumb)

    return routes


def _picture(path: Path, thumb: bool) -> Response:
    """A stored picture as it is, or a small one re-encoded from it. Both were written by the studio itself."""
    if thumb:
        return Response(_thumbnail(path), media_type="image/webp", headers=_FOREVER)
    kinds = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
    return Response(path.read_bytes(), media_type=kinds[path.suffix], headers=_FOREVER)


@lru_cache(maxsize=CACHED)
def _thumbnail(path: Path) -> bytes:
    with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as picture:
        picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        sink = io.BytesIO()
        picture.convert("RGB").save(sink, "WEBP", quality=82)
    return sink.getvalue()


def _missing() -> Response:
    return PlainTextResponse("There is no such picture.\n", 404)
