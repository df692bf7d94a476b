"""What cannot be saved as a reward, with every reason at once."""

from backend.errors import SpecError
from backend.ids import is_safe_name, slug
from backend.rewards.builtin_library import builtin_names
from backend.rewards.lint import lint

MAX_BYTES = 200_000


class RewardEditConflict(SpecError):
    """The reward is no longer the version that its editor began from."""


def refuse_bad_name(name: str) -> None:
    """Raise SpecError for a name that cannot be a folder's, or that is a built-in reward's."""
    if not is_safe_name(name):
        example = slug(name, fallback="my-reward")
        raise SpecError(
            f"`{name[:80]}` cannot be a reward's name",
            hint=f"Use lower-case letters, digits, dots and dashes, for example `{example}`",
        )
    refuse_builtin_name(name)


def refuse_builtin_name(name: str) -> None:
    """Raise SpecError for a built-in reward's name: those neither change nor go."""
    if name in builtin_names():
        raise SpecError(
            f"`{name}` is one of the ready rewards, which stay as they are",
            hint=f"Copy it under another name: `studio reward show {name}` prints it",
        )


def refuse_bad_source(name: str, text: str) -> None:
    """Raise SpecError for a text that is too large or has errors, each with its line."""
    try:
        content = text.encode()
    except UnicodeEncodeError as error:
        raise SpecError(
            f"`{name}` holds half a character at position {error.start:,}", hint="Save the file as UTF-8"
        ) from error
    if len(content) > MAX_BYTES:
        raise SpecError(
            f"`{name}` has {len(content):,} bytes; a reward may have {MAX_BYTES:,}",
            hint="Put tables into the dataset's columns; a reward is only the rule",
        )
    wrong = [finding for finding in lint(text) if finding.level == "error"]
    if wrong:
        errors = "; ".join(f"line {finding.line}: {finding.message}" for finding in wrong)
        raise SpecError(
            f"`{name}` cannot be a reward: {errors}", hint=" / ".join({f.hint: None for f in wrong if f.hint})
        )
