"""Pictures that visitors ask about: checked and stored by content, exactly as an import would store them."""

import re
from pathlib import Path

from backend.datasets.pictures import PicturePool
from backend.errors import DatasetError
from backend.settings import Workspace
from studio.i18n import Translate

MOST_PICTURES = 8  # in one question
_NAME = re.compile(r"[0-9a-f]{8,64}\.(jpg|png|webp)")


def asked_folder(workspace: Workspace) -> Path:
    """Where they lie; what is a day old is removed."""
    return workspace.uploads / "asked"


def take_pictures(workspace: Workspace, sources: list[Path], t: Translate) -> tuple[str, ...]:
    """Store pictures upright and in plain colours, so that a model sees what it would be trained on.

    Args:
        workspace: whose uploads folder takes them.
        sources: where they lie.
        t: of the page that is told what is wrong.

    Returns:
        Their names, in order; `asked_picture` finds them.

    Raises:
        DatasetError: one of them cannot be used, and says which and why; or there are too many.
    """
    if len(sources) > MOST_PICTURES:
        said = t("play.too_many_pictures", count=len(sources))
        raise DatasetError(said, hint=t("play.too_many_pictures.hint", most=MOST_PICTURES))
    folder = asked_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    outcomes = dict(PicturePool(folder).prepare(list(dict.fromkeys(sources))))
    for source, outcome in outcomes.items():
        if outcome.code:
            said = t("play.bad_picture", name=source.name, why=t(f"problem.{outcome.code}.title"))
            raise DatasetError(said, hint=t(f"problem.{outcome.code}.hint"))
    return tuple(outcomes[source].stored for source in sources)


def asked_picture(workspace: Workspace, name: str) -> Path | None:
    """Find a stored picture by its name; None where there is none."""
    path = asked_folder(workspace) / name
    return path if _NAME.fullmatch(name) and path.is_file() and not path.is_symlink() else None
