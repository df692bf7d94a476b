"""The parts of a dataset, train, validation and test: as the upload has them, else drawn by a seed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from backend.conversation import SPLITS, Split
from backend.datasets.problems import Place, counted, quoted
from backend.datasets.records import SplitRule
from backend.datasets.split import hold_out

MAX_FILES_SHOWN = 8
EVALUATION_SPLITS: tuple[Split, ...] = ("validation", "test")


class ChosenSplit(NamedTuple):
    """The part of every row, and how it was chosen."""

    codes: bytes  # for each row the place of its part in SPLITS
    rule: SplitRule
    notices: tuple[str, ...]

    def counts(self) -> dict[Split, int]:
        """How many rows each part has."""
        return {split: self.codes.count(code) for code, split in enumerate(SPLITS)}


class GivenSplit:
    """What the upload says of each row's part, a byte a row; and which images its held-out rows show."""

    def __init__(self) -> None:
        self._codes = bytearray()  # train where the upload says nothing
        self._silent: Counter[str] = Counter()  # rows of which nothing says a part, by file
        self._marked_count = 0  # rows whose part is their own word alone
        self._contradicted: Counter[str] = Counter()  # rows whose own word is another than their file's, by file
        self._files: dict[Split, dict[str, None]] = {split: {} for split in SPLITS}
        self._shown: dict[Split, dict[str, tuple[Place, str]]] = defaultdict(dict)  # image -> first row, as it wrote it

    def add(self, split: Split | None, by_file: Split | None, place: Place, images: Iterable[tuple[str, str]]) -> None:
        """Take in the next row.

        Args:
            split: its part; None where nothing says one.
            by_file: the part that its file's name says.
            place: where it stands.
            images: for each its stored name, and as the row wrote it; of a row without any its content id and text.
        """
        self._codes.append(SPLITS.index(split or "train"))
        self._silent[place.file] += split is None
        self._marked_count += split is not None and by_file is None
        self._contradicted[place.file] += by_file not in (None, split)
        self._files[split or "train"][place.file] = None
        if split in EVALUATION_SPLITS:
            for stored, written in images:
                self._shown[split].setdefault(stored, (place, written))

    def choose(self, keys: Sequence[Sequence[str]], share: float, seed: int, *, is_explicit: bool) -> ChosenSplit:
        """Decide the part of every row.

        The name of all files, where it is the same part, tells no rows from others: then validation rows are drawn as
        where the upload says nothing. Test rows are never drawn, and never drawn from. Where the upload has parts and
        none for training, the dataset is for evaluations only.

        Args:
            keys: for each row what ties it to others, as `hold_out` takes it.
            share: of the rows, to be drawn for validation where the upload has no validation rows.
            seed: of the draw.
            is_explicit: a person gave a file of validation or test rows.
        """
        present = {SPLITS[code] for code in set(self._codes)}
        is_marked = self._marked_count == len(self._codes) and "train" not in present
        if not is_explicit and len(present) < 2 and not is_marked:
            sampled = hold_out(keys, share, seed)
            codes = bytearray(len(keys))
            _mark(codes, sampled.rows)
            notices = (*self._lone_part(present), *([sampled.notice] if sampled.notice else []))
            return ChosenSplit(bytes(codes), SplitRule(kind="seeded", share=share, seed=seed), notices)
        codes, rule, notices = bytearray(self._codes), SplitRule(kind="given"), tuple(self._given_notices())
        if "validation" not in present and "train" in present and share > 0:
            rows = [row for row, code in enumerate(codes) if SPLITS[code] == "train"]
            sampled = hold_out([keys[row] for row in rows], share, seed)
            _mark(codes, (rows[place] for place in sampled.rows))
            rule = SplitRule(kind="given", share=share, seed=seed)
            notices += (_sampled_notice(len(sampled.rows), sampled.notice),)
        return ChosenSplit(bytes(codes), rule, notices)

    def leaks(self, chosen: ChosenSplit, keys: Sequence[Sequence[str]]) -> Iterator[tuple[Place, str]]:
        """Each image, and row without one, by content, that two parts hold: the first held-out row, what is wrong."""
        if chosen.rule.kind == "seeded":
            return  # rows that share an image were drawn together
        parts_of: dict[str, int] = defaultdict(int)
        watched = self._shown["validation"].keys() | self._shown["test"].keys()
        for code, (content, *images) in zip(chosen.codes, keys, strict=True):
            for image in watched.intersection(images or [content]):
                parts_of[image] |= 1 << code
        for split in EVALUATION_SPLITS:
            for image, (place, written) in self._shown[split].items():
                earlier_parts = SPLITS[: SPLITS.index(split)]
                shared = [part for part in earlier_parts if parts_of[image] >> SPLITS.index(part) & 1]
                if shared:
                    where = " and ".join("training" if part == "train" else part for part in shared)
                    if "." in image:  # the name of a stored image; a content id has no ending
                        yield place, f"The image `{written}` of a {split} row is in {where} rows as well"
                    else:
                        yield place, f"The row without an image, `{written}`, is in {where} rows as well"

    def _lone_part(self, present: set[Split]) -> Iterator[str]:
        lone: Split = next(iter(present), "train")
        if lone != "train":
            yield (
                f"Every row is in the part `{lone}`, by {_files(self._files[lone])}: that tells no rows from others, "
                "so they were taken for training; give files for training too, or evaluate with all rows"
            )

    def _given_notices(self) -> Iterator[str]:
        for split in EVALUATION_SPLITS:
            if self._files[split]:
                yield f"{split.capitalize()} rows as given, from {_files(self._files[split])}"
        if SPLITS.index("train") not in self._codes:
            yield "No row is for training: the dataset can be evaluated, not trained on"
        silent = +self._silent
        if silent and silent.total() < self._codes.count(SPLITS.index("train")):
            yield f"{counted(silent.total(), 'row')} of {_files(silent)} in no part: taken for training"
        contradicted = +self._contradicted
        if contradicted:
            yield (
                f"{counted(contradicted.total(), 'row')} of {_files(contradicted)} in another part than the file's "
                "name says: the rows' own words count"
            )


def _mark(codes: bytearray, validation_rows: Iterable[int]) -> None:
    for row in validation_rows:
        codes[row] = SPLITS.index("validation")


def _sampled_notice(sampled_count: int, notice: str) -> str:
    done = f"{counted(sampled_count, 'training row')} drawn for validation" if sampled_count else notice
    return f"The upload has test rows and no validation rows: {done}. The test rows are left alone"


def _files(files: Iterable[str]) -> str:
    names = sorted(files)
    shown = ", ".join(f"`{quoted(name)}`" for name in names[:MAX_FILES_SHOWN])
    return shown + (f" and {len(names) - MAX_FILES_SHOWN:,} more" if len(names) > MAX_FILES_SHOWN else "")
