"""All that is wrong with a spec, said at once."""

from collections.abc import Sequence

from backend.errors import SpecError, StudioError


def refuse_all(problems: Sequence[StudioError]) -> None:
    """Raise one SpecError that says all of them; nothing where there is none."""
    if problems:
        message = "; ".join(problem.message for problem in problems)
        raise SpecError(message, hint=" / ".join(dict.fromkeys(problem.hint for problem in problems)))
