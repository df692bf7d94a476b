"""What an import leaves behind and says: the manifest, what was recognised, what was done."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, model_validator

from backend.conversation import Row, Split
from backend.datasets.encodings import Encoding
from backend.datasets.problems import DatasetProblem
from backend.earlier_names import renamed

LayoutName = Literal["llava", "messages", "parts", "prompt_completion", "table"]


class DatasetModel(BaseModel):
    """Rests on disk; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SplitRule(DatasetModel):
    """How validation and test rows were chosen; the same rows again from the same upload."""

    kind: Literal["seeded", "given"]  # validation rows by image groups and a seed; or what the upload says
    share: float = 0.0  # that was drawn for validation; where the rest is given, of its training rows
    seed: int = 0


class Statistics(DatasetModel):
    """Counts over the rows kept. Token figures are estimates at the default pixel bounds."""

    rows: int
    train_rows: int
    validation_rows: int
    test_rows: int = 0
    turns: int  # user and assistant turns
    images: int  # different ones, by content
    image_bytes: int
    width_px: tuple[int, int, int]  # smallest, median, largest
    height_px: tuple[int, int, int]
    visual_tokens: tuple[int, int, int]  # per row: smallest, median, largest
    text_tokens: tuple[int, int, int]  # per row, estimated from the text
    total_tokens: int
    most_frequent_answers: tuple[tuple[str, int], ...] = ()

    def rows_of(self, split: Split) -> int:
        """How many rows a part has."""
        return {"train": self.train_rows, "validation": self.validation_rows, "test": self.test_rows}[split]

    _earlier = model_validator(mode="before")(
        renamed({"pictures": "images", "picture_bytes": "image_bytes", "heldout_rows": "validation_rows"})
    )


class Manifest(DatasetModel):
    """`dataset.json`, written last: without it the folder is no dataset."""

    version: Literal[1] = 1
    name: str
    created_at: float
    sha256: str  # of data.json
    upload_sha256: str  # of what was uploaded, to recognise the same upload again
    source: str  # file name as uploaded
    layout: LayoutName
    split: SplitRule
    statistics: Statistics
    skipped_rows: int
    problem_counts: dict[str, int]  # code -> how often, all severities
    notices: tuple[str, ...] = ()  # what the person is told, e.g. how image paths were matched
    change: str = ""  # what made this version of the rows; empty for the import
    changed_at: float = 0.0  # when that was; 0 for the import


class ColumnMapping(DatasetModel):
    """Which columns play which part. Empty where a part is absent; `outer.inner` names what stands in an object."""

    images: tuple[str, ...] = ()
    turns: tuple[str, ...] = ()  # lists of turns, or a prompt and its completion
    question: str = ""
    context: tuple[str, ...] = ()  # texts of the question's turn beside the question
    choices: tuple[str, ...] = ()  # one with a list, or one for each choice
    answer: str = ""
    system: str = ""
    split: str = ""
    first_choice: int | None = None  # number of the first choice where answers are numbers; -1 where nobody knows


class Inspection(NamedTuple):
    """What an upload looks like before it is imported."""

    layout: LayoutName | None  # None: columns must be mapped
    columns: tuple[str, ...]
    suggestion: ColumnMapping
    first_rows: tuple[dict[str, str], ...]  # as uploaded, values shortened to 200 characters
    preview: tuple[Row, ...]  # as they would be imported, up to 5; ids and images are provisional
    rows: int
    images: int
    problems: tuple[DatasetProblem, ...]  # of the preview rows
    shown: Mapping[str, bytes] = {}  # images of the preview, checked, by how its rows write them
    files: tuple[tuple[str, int], ...] = ()  # that hold rows, and how many
    doubt: str = ""  # why the rows are not understood, where more than their columns' names is to be told

    notices: tuple[str, ...] = ()  # what an import would do of its own accord
    encodings: tuple[tuple[str, Encoding], ...] = ()  # of the text files that are not Unicode

    @property
    def is_without_images(self) -> bool:
        """Whether rows that name no image lie beside images, so that somebody must say that they are meant so."""
        return any(problem.code == "IMAGES_UNNAMED" for problem in self.problems)


class ImportReport(NamedTuple):
    """What an import did."""

    manifest: Manifest
    problems: tuple[DatasetProblem, ...]  # up to 1,000; counts in the manifest are complete
    was_known: bool  # the same upload is already here under this manifest's name


class RowPage(NamedTuple):
    """One page of a dataset."""

    rows: tuple[Row, ...]
    total: int  # rows that match the search


class DatasetVersion(NamedTuple):
    """The rows that a dataset has or had."""

    sha256: str
    made_at: float
    rows: int
    change: str  # what made it, in a short sentence
    is_current: bool
