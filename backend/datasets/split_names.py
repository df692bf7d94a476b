"""Which part of a dataset a name means, train, validation or test: a file, a folder, or a value of a split column.

A name is read as words: at separators, at changes of case, beside digits, and around the words of scripts without
spaces. A word of a split alone, or with words that every set uses (`val2017`, `test_data`, `train-00000-of-00004`), is
enough. Beside words of its own (`test_strips`) it needs a counterpart in the same upload: a name of another part that
shares one of them (`train_strips`), these words alone (`strips`), or another part's word in the same place
(`train_cards`). What is left in doubt is a notice.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from backend.conversation import Split
from backend.datasets.problems import quoted

MAX_NAMED = 8  # files that a notice names
REMEMBERED = 1 << 16  # names
WORDS: dict[Split, tuple[str, ...]] = {
    "train": (
        "train", "training", "trn", "finetune", "finetuning",
        "trainieren", "lernen", "entrainement", "apprentissage", "entrenamiento", "treino", "treinamento",
        "addestramento", "обучение", "обучающая", "обучающий", "тренировка", "тренировочная", "тренировочный",
    ),
    "validation": (
        "val", "valid", "validation", "validate", "validating", "vali", "dev", "devel", "development", "eval",
        "evaluation", "evaluate", "heldout", "holdout",
        "validierung", "validacion", "validacao", "convalida", "валидация", "валидационная", "валидационный",
    ),
    "test": (
        "test", "tests", "testing", "tst", "testen", "pruefung", "prüfung", "prueba", "pruebas", "teste", "testes",
        "тест", "тестовая", "тестовый", "тестирование",
    ),
}  # fmt: skip
UNSPACED_WORDS: dict[Split, tuple[str, ...]] = {
    "train": ("训练", "訓練", "学習", "学习集", "훈련", "학습"),
    "validation": ("验证", "驗證", "検証", "开发集", "開發集", "留出", "검증"),
    "test": ("测试", "測試", "评测", "評測", "评估", "評估", "評価", "テスト", "테스트", "평가", "시험"),
}
NEUTRAL = (  # what sets call their files and folders beside the part: it tells no part from another
    "data dataset set sets split splits part parts file files json jsonl csv tsv parquet rows row annotation",
    "annotations anno annos ann question questions qa vqa answer answers label labels list info meta metadata",
    "sample samples example examples image images img imgs picture pictures caption captions instance instances",
    "final full mini tiny small large all new clean cleaned raw processed converted formatted version seen unseen",
    "std hard easy random balanced public private challenge reserve open gt minus input output en zh cn ja ko de",
    "fr es ru english chinese",
    "集 数据 数据集 資料 資料集 标注 文件 用 データ セット 데이터 세트 셋 용",
    "daten datensatz donnees jeu datos conjunto dados выборка данные набор",
)
_UNSPACED_TAIL = "(?:数据集|資料集|数据|資料|集|用|データ|セット|데이터|세트|셋|용)*"
_SHARD = re.compile(r"[-_.]?\d{3,6}-of-\d{3,6}(?:[-_.][0-9a-f]{6,64})?$")
_HOLDOUT = re.compile(r"(?i)(h[eo]ld)[-_ ]*(out)")
_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
TOGETHER = frozenset({"trainval", "restval"})  # validation rows that a set gives for training
Position = Literal["whole", "first", "last", "inner"]


class NameReading(NamedTuple):
    """What one name, such as `coco_val2017`, says."""

    split: Split | None  # None where its words name parts that exclude each other
    position: Position  # of the part's word among the name's words; whole: there are none of its own
    rest: tuple[str, ...]  # its own words, sorted
    words: tuple[str, ...]  # those of parts, in order


class FileSplits(NamedTuple):
    """What the names of an upload's files say."""

    splits: dict[str, Split]  # by file; those that say nothing are missing
    notices: tuple[str, ...]


def split_of_value(text: str) -> Split | None:
    """Read a value of a split column, wherever in it the part's word stands; None where it names none or several."""
    reading = read_name(text)
    return reading.split if reading is not None else None


def split_of_folder(name: str) -> Split | None:
    """Read a name that is a part's and nothing else's, such as a key over rows; None where it has words of its own."""
    reading = read_name(name)
    return reading.split if reading is not None and reading.position == "whole" else None


def is_together(text: str) -> bool:
    """Tell whether a value gives validation rows for training, as `trainval` does."""
    reading = read_name(text)
    return reading is not None and _is_together(reading)


def file_splits(names: Sequence[str]) -> FileSplits:
    """Read the names of all files with rows together: a file's own name first, then its folders from the nearest on.

    Args:
        names: as they stand in the upload, with forward slashes.
    """
    shared = _shared_folders(names)
    folders = {name: list(reversed(_folders(name)[shared:])) for name in names}
    stems = _Evidence(_stem(name) for name in names)
    parents = _Evidence(each for parts in folders.values() for each in parts)
    splits: dict[str, Split] = {}
    doubtful, together = [], []
    for name in names:
        stem = stems.reading(_stem(name))
        readings = [reading for each in folders[name] if (reading := parents.reading(each)) is not None]
        by_folder = next((each for each in readings if parents.is_enough(each)), None)
        by_name = stem if stem is not None and stems.is_enough(stem) else None
        chosen = (by_name or by_folder) if stems.tell_apart else (by_folder or by_name)
        if chosen is None and stem is not None and parents.is_beside(stem):
            chosen = stem
        if chosen is not None and chosen.split is not None:
            splits[name] = chosen.split
            together += [name] if _is_together(chosen) else []
        elif any(each.split != "train" for each in (*readings, *([stem] if stem else []))):
            doubtful.append(name)
    if (
        names
        and not splits
        and any(split_of_folder(each) not in (None, "train") for each in _folders(names[0])[:shared])
    ):
        doubtful = list(names)
    return FileSplits(splits, tuple(_notices(doubtful, together)))


@lru_cache(maxsize=REMEMBERED)
def read_name(text: str) -> NameReading | None:
    """Read one name; None where no part is in it."""
    tokens = _tokens(text)
    found = [place for place, token in enumerate(tokens) if _splits_in(token)]
    if not found:
        return None
    own = {place for place, token in enumerate(tokens) if place not in found and not _is_neutral(token)}
    position: Position = "whole"
    if own:
        position = "first" if min(found) < min(own) else "last" if max(found) > max(own) else "inner"
    splits = [split for place in found for split in _splits_in(tokens[place])]
    words = tuple(tokens[place] for place in found)
    return NameReading(_combined(splits), position, tuple(sorted(tokens[place] for place in own)), words)


class _Evidence:
    """The names of all files, or of all folders, of one upload: what stands beside a name."""

    def __init__(self, names: Iterable[str]) -> None:
        """Read every name once."""
        distinct = set(names)
        self._has_invalid = any("invalid" in _tokens(each) for each in distinct)
        self._by_word: dict[str, set[Split]] = defaultdict(set)
        self._by_position: dict[Position, set[Split]] = defaultdict(set)
        self._plain: set[tuple[str, ...]] = set()  # own words of names without a part
        readings = {each: self.reading(each) for each in distinct}
        self.tell_apart = len({reading and reading.split for reading in readings.values()}) > 1
        for each, reading in readings.items():
            if reading is None:
                self._plain.add(_own_words(each))
            elif reading.split is not None:
                for word in reading.rest:
                    self._by_word[word].add(reading.split)
                self._by_position[reading.position].add(reading.split)

    def reading(self, name: str) -> NameReading | None:
        """What a name says; `valid` beside `invalid` is no part."""
        reading = read_name(name)
        return None if reading is not None and self._has_invalid and set(reading.words) == {"valid"} else reading

    def is_enough(self, reading: NameReading) -> bool:
        """Whether the name says a part for sure: by itself, or by a counterpart."""
        if reading.split is None:
            return False
        is_counted = reading.position == "whole" or reading.rest in self._plain
        others = {split for word in reading.rest for split in self._by_word[word]} - {reading.split}
        return is_counted or bool(others) or self.is_beside(reading)

    def is_beside(self, reading: NameReading) -> bool:
        """Whether another part's word stands in the same place of one of these names, or alone."""
        if reading.split is None or reading.position == "inner":
            return False
        return bool((self._by_position[reading.position] | self._by_position["whole"]) - {reading.split})


def _notices(doubtful: list[str], together: list[str]) -> Iterable[str]:
    if doubtful:
        yield (
            f"A name like {_named(doubtful)} may mean a validation or test part, but nothing in the upload is its "
            "counterpart, so its rows were not held out; give it as the validation or test file if it is one"
        )
    if together:
        yield f"{_named(together)} holds training and validation rows together; all of them are for training"


def _named(names: list[str]) -> str:
    shown = ", ".join(f"`{quoted(name)}`" for name in names[:MAX_NAMED])
    return shown + (f" and {len(names) - MAX_NAMED:,} more" if len(names) > MAX_NAMED else "")


def _shared_folders(names: Sequence[str]) -> int:
    """How many folders all files have in common, which tell none from another."""
    if not names:
        return 0
    first, last = min(map(_folders, names)), max(map(_folders, names))
    pairs = enumerate(zip(first, last, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(last)))


def _folders(name: str) -> tuple[str, ...]:
    return tuple(name.split("/")[:-1])


def _stem(name: str) -> str:
    file = name.rpartition("/")[2]
    return file.rpartition(".")[0] or file


@lru_cache(maxsize=REMEMBERED)
def _tokens(text: str) -> tuple[str, ...]:
    """The words of a name, in lower case and without accents."""
    name = _HOLDOUT.sub(lambda found: f"{found[1]}{found[2]}".lower(), _SHARD.sub("", _without_accents(text)))
    words = [word.casefold() for word in _TOKEN.findall(name)]
    if name.isascii():
        return tuple(words)
    return tuple(part for word in words for part in ([word] if word.isascii() else _UNSPACED.split(word)) if part)


def _folded(word: str) -> str:
    return _without_accents(word).casefold()


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return unicodedata.normalize("NFC", plain)


_SPLIT_OF_WORD: dict[str, Split] = {
    _folded(word): split
    for group in (WORDS, UNSPACED_WORDS)
    for split, words in group.items()
    for word in words
}  # fmt: skip
_NEUTRAL = frozenset(_folded(word) for line in NEUTRAL for word in line.split())
_UNSPACED_CHOICE = "|".join(
    sorted((_folded(w) for words in UNSPACED_WORDS.values() for w in words), key=len, reverse=True)
)
_UNSPACED = re.compile(f"((?:{_UNSPACED_CHOICE}){_folded(_UNSPACED_TAIL)})")
_UNSPACED_WORD = re.compile(f"({_UNSPACED_CHOICE}){_folded(_UNSPACED_TAIL)}")
_CORE = "training|train|validation|valid|val|heldout|holdout|dev|eval|test"
_COMPOUND = re.compile(  # trainval, minival, valminusminival, testdev, testmini, trainset, testa
    rf"(?:mini|tiny|sub)?({_CORE})(?:minus)?(?:mini)?({_CORE})?({_CORE})?"
    r"(?:sets?|split|data|part|mini|tiny|std|all|full|(?<=test)[a-d]|(?<=val)[a-d])?"
)


@lru_cache(maxsize=REMEMBERED)
def _splits_in(token: str) -> tuple[Split, ...]:
    """The parts that one word names, in order."""
    if token in _SPLIT_OF_WORD:
        return (_SPLIT_OF_WORD[token],)
    if token == "restval":  # of the COCO split by Karpathy: what of `val` is trained on
        return ("train",)
    if not token.isascii():
        unspaced = _UNSPACED_WORD.fullmatch(token)
        return (_SPLIT_OF_WORD[unspaced[1]],) if unspaced else ()
    compound = _COMPOUND.fullmatch(token)
    return tuple(_SPLIT_OF_WORD[word] for word in compound.groups() if word) if compound else ()


def _combined(splits: Sequence[Split]) -> Split | None:
    """One part for a name with several words of parts: `trainval` is for training, `test-dev` a test."""
    distinct = set(splits)
    if len(distinct) == 1:
        return splits[0]
    if "train" not in distinct:
        return "test"
    return "train" if "test" not in distinct and splits[0] == "train" else None


def _is_together(reading: NameReading) -> bool:
    named = [split for word in reading.words for split in _splits_in(word)]
    return reading.split == "train" and ("validation" in named or "restval" in reading.words)


def _own_words(component: str) -> tuple[str, ...]:
    return tuple(sorted(token for token in _tokens(component) if not _is_neutral(token)))


def _is_neutral(token: str) -> bool:
    return token.isdigit() or token in _NEUTRAL or (len(token) == 1 and token.isascii())
