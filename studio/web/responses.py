"""How routes answer: strict JSON that no browser keeps, and what cannot be done as message and hint."""

from fastapi import Request
from fastapi.responses import Response

from backend.errors import NotFoundError, StudioError
from backend.jsonl import strict_json


def json_reply(content: object, status: int = 200) -> Response:
    """One JSON value, not to be kept."""
    return json_text(strict_json(content), status)


def json_text(text: str, status: int = 200) -> Response:
    """JSON that is written already."""
    return Response(text, status, media_type="application/json", headers={"Cache-Control": "no-store"})


async def on_studio_error(_: Request, error: Exception) -> Response:
    """What every route answers where a StudioError is raised: 404 where nothing has that name, else 400."""
    assert isinstance(error, StudioError)
    status = 404 if isinstance(error, NotFoundError) else 400
    return json_reply({"message": error.message, "hint": error.hint}, status)
