"""How routes answer: strict JSON that no browser keeps, and what cannot be done as message and hint."""

from fastapi.responses import Response

from backend.errors import NotFoundError, StudioError
from backend.jsonl import strict_json


def json_reply(content: object, status: int = 200) -> Response:
    """One JSON value, not to be kept."""
    return Response(strict_json(content), status, media_type="application/json", headers={"Cache-Control": "no-store"})


def refusal(error: StudioError) -> Response:
    """A StudioError: 404 where nothing has that name, else 400."""
    status = 404 if isinstance(error, NotFoundError) else 400
    return json_reply({"message": error.message, "hint": error.hint}, status)
