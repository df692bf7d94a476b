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

    def remove(self) -> None:
        """Delete it; nothing happens where it is gone."""
        shutil.rmtree(self.folder, ignore_errors=True)


def stage(workspace: Workspace, sent: list[str]) -> StagedUpload:
    """Gather the files of one upload, without copying them.

    Args:
        workspace: whose uploads folder holds the files.
        sent: their paths, which Gradio has found to lie in that folder.

    Raises:
        DatasetError: two of them have the same name, or there are too many.
    """
    if len(sent) > PICTURES_AT_ONCE:
        raise DatasetError(f"{len(sent):,} files at once", hint="Put them into one .zip and upload that")
    folder = workspace.uploads / f"import-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    for path in map(Path, sent):
        try:
            os.link(path, folder / path.name)
        except FileExistsError as error:
            shutil.rmtree(folder)
            raise DatasetError(
                f"Two of the files are called `{path.name}`", hint="Put them into folders of one .zip, or rename one"
            ) from error
    return StagedUpload(folder)
