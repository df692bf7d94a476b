"""Images by id, never by path: those of datasets, and those that visitors asked about, stored by content."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter
from fastapi import Path as PathPart
from fastapi.responses import PlainTextResponse, Response

from backend.datasets.image_pool import ImagePool
from backend.errors import DatasetError, StudioError
from backend.settings import Workspace
from studio.services import Services
from studio.ui.i18n import Translate
from studio.ui.thumbnails import thumbnail

MOST_IMAGES = 8  # in one question
_NAME = re.compile(r"[0-9a-f]{8,64}\.(jpg|png|webp)")
CACHED = 600  # thumbnails of some 10 kB each
_FOREVER = {"Cache-Control": "private, max-age=86400, immutable"}  # a name is a digest: its content never changes
DatasetPart = Annotated[str, PathPart(max_length=80)]
ImagePart = Annotated[str, PathPart(max_length=120)]


def chat_images_folder(workspace: Workspace) -> Path:
    """Where they lie; what is a day old is removed."""
    return workspace.uploads / "asked"


def take_images(workspace: Workspace, sources: list[Path], t: Translate) -> tuple[str, ...]:
    """Store images upright and in plain colours, so that a model sees what it would be trained on.

    Args:
        workspace: whose uploads folder takes them.
        sources: where they lie.
        t: of the page that is told what is wrong.

    Returns:
        Their names, in order; `chat_image` finds them.

    Raises:
        DatasetError: one of them cannot be used, and says which and why; or there are too many.
    """
    if len(sources) > MOST_IMAGES:
        message = t("play.too_many_images", count=len(sources))
        raise DatasetError(message, hint=t("play.too_many_images.hint", most=MOST_IMAGES))
    folder = chat_images_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = dict(ImagePool(folder).prepare(list(dict.fromkeys(sources))))
    for source, outcome in outcomes.items():
        if outcome.code:
            message = t("play.bad_image", name=source.name, why=t(f"problem.{outcome.code}.title"))
            raise DatasetError(message, hint=t(f"problem.{outcome.code}.hint"))
    return tuple(outcomes[source].stored for source in sources)


def chat_image(workspace: Workspace, name: str) -> Path | None:
    """Find a stored image by its name; None where there is none."""
    path = chat_images_folder(workspace) / name
    return path if _NAME.fullmatch(name) and path.is_file() and not path.is_symlink() else None


def router(services: Services) -> APIRouter:
    """The routes of this file. Their handlers are plain functions: FastAPI runs them beside the event loop."""
    routes = APIRouter(prefix="/media")

    @routes.get("/asked/{image}")
    def chat_image_of(image: ImagePart, thumb: bool = False) -> Response:
        path = chat_image(services.workspace, image)
        return _missing() if path is None else _image(path, thumb)

    @routes.get("/dataset/{dataset}/{image}")
    def of_dataset(dataset: DatasetPart, image: ImagePart, thumb: bool = False) -> Response:
        try:
            path = services.datasets.image(dataset, f"images/{image}")
        except StudioError:
            return _missing()
        return _image(path, thumb)

    return routes


def _image(path: Path, thumb: bool) -> Response:
    """A stored image as it is, or a small one re-encoded from it. Both were written by the studio itself."""
    if thumb:
        return Response(_thumbnail(path), media_type="image/webp", headers=_FOREVER)
    kinds = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
    return Response(path.read_bytes(), media_type=kinds[path.suffix], headers=_FOREVER)


@lru_cache(maxsize=CACHED)
def _thumbnail(path: Path) -> bytes:
    return thumbnail(path)


def _missing() -> Response:
    return PlainTextResponse("There is no such image.\n", 404)
