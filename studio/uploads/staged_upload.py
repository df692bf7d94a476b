"""From the files a browser sent to one upload that the store can read."""

import os
import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from backend.datasets.upload import ANNOTATIONS
from backend.errors import DatasetError
from backend.ids import slug
from backend.settings import Workspace
from studio.i18n import Translate

PICTURES_AT_ONCE = 20_000


@dataclass(frozen=True, slots=True)
class StagedUpload:
    """Files gathered in a folder of their own, under the names the person gave them."""

    folder: Path

    @property
    def source(self) -> Path:
        """What to hand to the store: the one file, or the folder of several."""
        files = list(self.folder.iterdir())
        return files[0] if len(files) == 1 else self.folder

    @property
    def suggested_name(self) -> str:
        """What the dataset may be called: as its zip, or as its first table, in letters that a name may have."""
        files = sorted(self.folder.iterdir())
        tables = [path for path in files if path.suffix.lower() in (*ANNOTATIONS, ".zip")]
        return slug((tables or files)[0].stem, fallback="dataset")

    @property
    def is_here(self) -> bool:
        """Whether it can be read: it was neither removed nor taken."""
        return self.folder.is_dir()

    @property
    def is_taken(self) -> bool:
        """Whether an import is reading it."""
        return self._apart.is_dir()

    def take(self) -> "StagedUpload":
        """Move it to where `remove` of this one does not reach: it belongs to whoever took it. Raises OSError."""
        self.folder.rename(self._apart)
        os.utime(self._apart)  # a day old is not what somebody reads
        return StagedUpload(self._apart)

    def give_back(self) -> None:
        """Move it back, to be tried again. Raises OSError."""
        self._apart.rename(self.folder)

    def remove(self) -> None:
        """Delete it; nothing happens where it is gone or taken."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _apart(self) -> Path:
        return self.folder.with_name(f"importing-{self.folder.name.removeprefix('import-')}")


def stage(workspace: Workspace, sent: list[str], t: Translate) -> StagedUpload:
    """Gather the files of one upload, without copying them.

    Args:
        workspace: whose uploads folder holds the files.
        sent: their paths, which Gradio has found to lie in that folder.
        t: of the page that is told what is wrong.

    Raises:
        DatasetError: two of them have the same name, or there are too many.
    """
    if len(sent) > PICTURES_AT_ONCE:
        raise DatasetError(t("upload.too_many", count=f"{len(sent):,}"), hint=t("upload.too_many.hint"))
    folder = workspace.uploads / f"import-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    for path in map(Path, sent):
        try:
            os.link(path, folder / path.name)
        except FileExistsError as error:
            shutil.rmtree(folder)
            raise DatasetError(t("upload.same_name", name=path.name), hint=t("upload.same_name.hint")) from error
    return StagedUpload(folder)
