"""Fields and values that earlier versions wrote under another name, read as what they are called now."""

from collections.abc import Callable, Mapping
from typing import Any


def renamed(fields: Mapping[str, str] | None = None, values: Mapping[str, str] | None = None) -> Callable[[Any], Any]:
    """What a model's `model_validator(mode="before")` calls on the raw object; anything but a dict passes as it is.

    Args:
        fields: earlier name -> name. An object with both keeps the present one, and the other is refused as unknown.
        values: earlier text -> text, for every field of the object that holds exactly that text.
    """
    fields, values = fields or {}, values or {}

    def read(raw: Any) -> Any:
        if not isinstance(raw, dict):
            return raw
        return {
            (fields[name] if name in fields and fields[name] not in raw else name): (
                values.get(value, value) if isinstance(value, str) else value
            )
            for name, value in raw.items()
        }

    return read
