"""Files that browsers send: each visitor's in a folder of their own, called by names that tell no path.

`own/<digest>/<name>` is what the visitor uploaded, `asked/<digest>.png` an image that somebody asked about. Gradio's
own routes for uploads and files are never reached: theirs know one cache for all, and name it by absolute path.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from gradio.route_utils import GradioMultiPartParser
from gradio.routes import file_upload_statuses
from gradio_client.utils import strip_invalid_filename_characters
from starlette.formparsers import MultiPartException

from backend.settings import Workspace
from studio.web.allowed_hosts import NetworkAddress
from studio.web.event_values import write_json
from studio.web.images import chat_image, chat_images_folder
from studio.web.responses import json_reply
from studio.web.visitors import visitor_in

INLINE_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".gif": "image/gif",
}
_NAME = re.compile(r"own/([0-9a-f]{64})/([^/\\\0]{1,255})")
_NAMES = re.compile(r"(own/[0-9a-f]{64}|asked)/[^/\\\0]{1,255}")  # what may be asked for; everything else is forbidden
_UPLOAD_ID = re.compile(r"\w{1,40}", re.ASCII)


@dataclass(frozen=True, slots=True)
class VisitorFiles:
    """The files of one workspace's visitors."""

    workspace: Workspace

    def folder(self, visitor: str) -> Path:
        """Where a visitor's uploads lie."""
        return self.workspace.uploads / f"of-{visitor}"

    def find(self, visitor: str, name: str) -> Path | None:
        """The file that a visitor calls `name`; None where there is none, or it is not a plain file of theirs."""
        if name.startswith("asked/"):
            return chat_image(self.workspace, name.removeprefix("asked/"))
        parts = _NAME.fullmatch(name)
        if parts is None:
            return None
        path = self.folder(visitor) / parts[1] / parts[2]
        return path if path.is_file() and not path.is_symlink() and not path.parent.is_symlink() else None

    def name(self, path: Path) -> str:
        """What a visitor calls the uploaded file at `path`."""
        return f"own/{path.parent.name}/{path.name}"

    def named(self, visitor: str, answer: bytes) -> bytes:
        """An answer in which files go by their names instead of their paths."""
        for folder, prefix in ((self.folder(visitor), b"own/"), (chat_images_folder(self.workspace), b"asked/")):
            for text in {_quoted(folder), quote(str(folder)).encode()}:
                answer = answer.replace(text + b"/", prefix)
        return answer


def router(files: VisitorFiles, address: NetworkAddress) -> APIRouter:
    """Uploading, and seeing again what was uploaded."""
    routes = APIRouter(prefix="/gradio_api")

    @routes.post("/upload")
    async def upload(request: Request, upload_id: str = "") -> Response:
        try:
            paths = await _keep(
                request, files.folder(visitor_in(request.scope).id), address.most_upload_bytes, upload_id
            )
        except MultiPartException as error:
            return PlainTextResponse(error.message, 413 if "maximum allowed size" in error.message else 400)
        except OSError as error:  # a full disk above all
            message = f"The upload could not be kept: {error.strerror or type(error).__name__}"
            return json_reply({"message": message, "hint": "Free room on the studio's disk"}, 507)
        return JSONResponse([files.name(path) for path in paths])

    @routes.api_route("/file={name:path}", methods=["GET", "HEAD"])
    def file(request: Request, name: str) -> Response:
        path = files.find(visitor_in(request.scope).id, name)
        if path is None:
            return PlainTextResponse("There is no such file.\n", 404 if _NAMES.fullmatch(name) else 403)
        kind = INLINE_TYPES.get(path.suffix.lower())
        return FileResponse(
            path, media_type=kind or "application/octet-stream", filename=path.name,
            content_disposition_type="inline" if kind else "attachment", headers={"Cache-Control": "private, no-cache"},
        )  # fmt: skip

    return routes


class _FilesOnly(GradioMultiPartParser):
    """Gradio's parser, which writes files as they come; it would keep fields that are no files in memory, whole."""

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is None:
            raise MultiPartException("Only files are taken here.")

    def forget(self) -> None:
        """Remove what was written so far."""
        for file in self._files_to_close_on_error:
            file.close()
            Path(file.name).unlink(missing_ok=True)


async def _keep(request: Request, folder: Path, most_bytes: int, upload_id: str) -> list[Path]:
    """Write the files of a form below `folder`. Raises MultiPartException where it is no form of files, OSError."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise MultiPartException("Files are sent as a form: multipart/form-data.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    watched = upload_id if _UPLOAD_ID.fullmatch(upload_id) else None
    parser = _FilesOnly(
        request.headers, request.stream(), upload_dir=str(folder), max_file_size=most_bytes, upload_id=watched,
        upload_progress=file_upload_statuses if watched else None,
    )  # fmt: skip
    try:
        form = await parser.parse()
        return [_put(file, folder) for file in form.getlist("files")]
    except ValueError as error:  # a head that says odd things about itself
        raise MultiPartException("The form cannot be read.") from error
    finally:
        parser.forget()


def _put(file: Any, folder: Path) -> Path:
    """Give an uploaded file its name, in a folder named after its content."""
    name = strip_invalid_filename_characters(Path(file.filename or "").name).strip(".") or "file"
    path = folder / str(file.sha.hexdigest()) / name
    path.parent.mkdir(exist_ok=True)
    file.file.close()
    Path(file.file.name).replace(path)
    return path


def _quoted(path: Path) -> bytes:
    """A path as it stands inside a JSON string."""
    return write_json(str(path))[1:-1]
