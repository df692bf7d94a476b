"""Read rewards from files, and look at them without running them."""

from pathlib import Path

from backend.errors import SpecError
from backend.rewards.lint import lint
from backend.rewards.refusals import MAX_BYTES
from studio.cli.output import warn


def read_text(file: Path) -> str:
    """Read a Python file. Raises SpecError where it cannot be read."""
    try:
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 8)  # what is larger is refused as it is saved
        return content.decode("utf-8-sig", "strict" if len(content) <= MAX_BYTES else "replace")
    except OSError as error:
        raise SpecError(f"`{file}` cannot be read: {error.strerror}", hint="Name a Python file") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"`{file}` is no text in UTF-8", hint="Save it as UTF-8") from error


def looked_at(place: str, text: str) -> int:
    """Print on stderr what is wrong or odd about a source; how many errors there are."""
    findings = lint(text)
    for found in findings:
        warn(f"{place}:{found.line}:{found.column}: {found.level}: {found.message}\n  hint: {found.hint}")
    return sum(found.level == "error" for found in findings)
