"""Which column plays which part: judged for a whole file by its columns' names and by what stands in them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from backend.datasets.choices import choice_columns, first_index
from backend.datasets.problems import quoted
from backend.datasets.records import ColumnMapping
from backend.datasets.split_column import is_split_column
from backend.datasets.turns import is_turns, listed

IMAGE = (
    "image", "images", "image_path", "image_paths", "image_file", "img", "img_path", "picture", "pictures", "photo",
    "photos", "file_name", "filename", "image_name", "img_name", "imgname", "image_id", "img_id", "image_url", "file",
    "path", "图片", "图像", "照片", "图片路径", "图像路径", "图片名", "图片名称", "文件名", "图", "影像",
)  # fmt: skip
QUESTION = (
    "question", "prompt", "instruction", "query", "problem", "user", "question_text", "user_input", "prefix", "input",
    "问题", "提问", "指令", "提示", "提示词", "输入", "题目", "質問", "問題", "질문", "pregunta", "frage", "вопрос",
)  # fmt: skip
ANSWER = (
    "answer", "response", "completion", "output", "assistant", "caption", "solution", "description", "label", "target",
    "ground_truth", "gold", "gold_answer", "correct_answer", "reference_answer", "answer_text", "suffix",
    "答案", "回答", "回复", "描述", "标签", "输出", "标注", "说明", "解答",
    "정답", "답변", "respuesta", "antwort", "ответ",
)  # fmt: skip
CONTEXT = ("context", "hint", "passage", "paragraph", "background", "上下文", "背景")
SYSTEM = ("system", "system_prompt", "系统", "系统提示", "系统提示词")
TURNS = ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "texts")
REFERENCES = ("references", "answers")
ID_FIELDS = ("id", "ID", "uid", "question_id", "sample_id")
HISTORY = "history"
AMBIGUOUS = "text"  # a caption in one set and a question in the next
MIN_SHARE = 0.5  # of the cells that are filled
FREE_TEXT_WORDS = 3.0  # a cell on average: a category has fewer
_NOT_AN_IMAGE = {"mask", "depth", "thumbnail", "segmentation", "overlay"}  # words in a name
_QUESTION_END = re.compile(r"[?？؟]\s*$")
_ADDRESS = re.compile(r"(https?|s3|gs|hf)://", re.IGNORECASE)
_IMAGE_WORDS = re.compile(r"im(a)?g|pic|photo|file|图|圖|画像|사진")
NamesImage = Callable[[Any], bool]


class ColumnEvidence(NamedTuple):
    """What stands in one column of the rows that were looked at."""

    filled: int
    images: float  # shares of the filled cells
    addresses: float
    turns: float
    questions: float
    texts: float  # texts or numbers
    words: float  # a text on average

    @property
    def is_free_text(self) -> bool:
        """Whether it holds sentences, rather than names or numbers."""
        return self.texts > MIN_SHARE and self.words >= FREE_TEXT_WORDS


class FileColumns:
    """The columns of one file and their parts; rows without the file's answer get parts of their own."""

    def __init__(
        self,
        rows: Sequence[Mapping[str, Any]],
        names_image: NamesImage = lambda _: False,
        given: ColumnMapping | None = None,
    ) -> None:
        """Judge the columns.

        Args:
            rows: those that the file begins with.
            names_image: tells whether a cell names an uploaded image.
            given: the parts as a person said them, which are then not judged.
        """
        columns = _without_ambiguous(dict.fromkeys(name for row in rows for name in names_of(row)))
        self._evidence = {name: _evidence([cell(row, name) for row in rows], names_image) for name in columns}
        self._rows, self._names_image = rows, names_image
        self._is_given = given is not None
        self.mapping = self._parts(columns) if given is None else _with_first_choice(given, rows)
        self._of_other_rows: dict[tuple[str, ...], ColumnMapping] = {}

    def mapping_of(self, row: Mapping[str, Any]) -> ColumnMapping:
        """The parts of a row's columns: those of the file where it has them, else of its own."""
        if self._is_given or has_answer(self.mapping, row):
            return self.mapping
        names = tuple(_without_ambiguous(dict.fromkeys(names_of(row))))
        if names not in self._of_other_rows:
            taken = {self.mapping.question, *self.mapping.images, *self.mapping.choices} - {""}
            own = self._parts(dict.fromkeys(name for name in names if name not in taken), new_rows=[row])
            self._of_other_rows[names] = own if is_enough(own) else self.mapping
        return self._of_other_rows[names]

    @cached_property
    def doubt(self) -> str:
        """Say what keeps the rows from being understood; empty where that is only that no name is known."""
        chosen = self.mapping
        if self._is_given:
            return ""
        plain = {_plain(name) for name in self._evidence}
        if {"chosen", "rejected"} <= plain:
            return (
                "they are pairs of a preferred and a refused answer, and only answers are learned from: name `chosen`"
            )
        if chosen.turns:
            return ""
        is_numbered = "question_id" in plain
        if is_enough(chosen) and (chosen.question or not (is_numbered or self._free_texts(chosen))):
            return ""
        if not chosen.answer and (question := self._question_without_answer()):
            return f"`{quoted(question, 40)}` reads like questions, and no column holds their answers"
        if chosen.answer and not chosen.question and is_numbered:
            return "they have the id of a question and no question, which may stand in another file"
        if chosen.answer and (texts := self._free_texts(chosen)):
            return f"no column is known as the question, and it may be {_listing(texts)}"
        return ""

    @cached_property
    def free_texts(self) -> list[str]:
        """The columns of sentences that play no part."""
        return self._free_texts(self.mapping)

    @cached_property
    def other_images(self) -> list[str]:
        """Columns that name images, and whose images are not taken."""
        used = {*self.mapping.images, self.mapping.answer, self.mapping.question, *self.mapping.turns}
        return [name for name, each in self._evidence.items() if each.images > MIN_SHARE and name not in used]

    def _parts(self, columns: Mapping[str, None], new_rows: Sequence[Mapping[str, Any]] = ()) -> ColumnMapping:
        for name in columns if new_rows else ():
            if name not in self._evidence:
                self._evidence[name] = _evidence([cell(row, name) for row in new_rows], self._names_image)
        rows = new_rows or self._rows
        turns = self._turns(columns, rows)
        images = self._images(columns)
        free = {
            name: None
            for name in columns
            if name not in {*turns, *images} and not is_split_column(name) and self._evidence[name].filled
        }
        system = _first(SYSTEM, free)
        choices = () if turns else choice_columns(free)
        texts = [name for name in free if name not in choices and name not in ID_FIELDS and name != system]
        question, answer = ("", _first(ANSWER, texts)) if turns else self._question_and_answer(texts)
        context = () if turns or not question else self._context(texts, question)
        mapping = ColumnMapping(
            images=images, turns=turns, question=question, context=context, choices=choices if question else (),
            answer=answer, system=system,
        )  # fmt: skip
        return _with_first_choice(mapping, rows)

    def _turns(self, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
        """The columns that hold turns: one list, or a prompt and its completion."""
        names = {_plain(name): name for name in reversed(list(columns))}
        known = [names[name] for name in TURNS if name in names and self._evidence[names[name]].filled]
        if known:
            return (known[0],) if any(_is_list_of_objects(cell(row, known[0])) for row in rows) else ()
        prompt, completion = names.get("prompt", ""), names.get("completion", "")
        if prompt and completion:
            return prompt, completion
        others = [name for name in columns if self._evidence[name].turns > MIN_SHARE]
        return (others[0],) if len(others) == 1 else ()

    def _images(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The columns of images: one, a series `image_1`, `image_2`, or `image` beside `images`."""
        listed_columns = [name for name in columns if self._evidence[name].filled]
        by_value = [
            name
            for name in listed_columns
            if self._evidence[name].images > MIN_SHARE
            and not _is_known(name, ANSWER + QUESTION)
            and not _NOT_AN_IMAGE & set(_plain(name).split("_"))
        ]
        series = _series(by_value)
        if len(series) > 1:
            return tuple(series)
        named = [name for name in _in_order(IMAGE, listed_columns) if name in by_value]
        if {_plain(name) for name in named[:2]} == {"image", "images"}:
            return tuple(named[:2])
        if named or by_value:
            return ((named or by_value)[0],)
        named = [name for name in listed_columns if self._evidence[name].addresses > MIN_SHARE]
        named = [name for name in named if _IMAGE_WORDS.search(_plain(name))]
        only_named = [name for name in _in_order(IMAGE, listed_columns) if _IMAGE_WORDS.search(_plain(name))]
        series = _series(only_named)
        return tuple(series) if len(series) > 1 else tuple((only_named or named)[:1])

    def _question_and_answer(self, texts: Sequence[str]) -> tuple[str, str]:
        question = _first(QUESTION, texts)
        answer = _first(ANSWER, [name for name in texts if name != question])
        if not answer and _first(REFERENCES[1:], texts):
            answer = _first(REFERENCES[1:], texts)
        ambiguous = _first((AMBIGUOUS,), texts)
        if ambiguous and not question and answer:
            question = ambiguous
        elif ambiguous and not answer and not self._are_questions(ambiguous, texts):
            answer = ambiguous
        return question, answer

    def _are_questions(self, name: str, texts: Sequence[str]) -> bool:
        """Whether a column of that name holds questions without answers, by their marks or by the ids beside them."""
        has_question = any(_is_known(other, QUESTION) for other in texts)
        numbered = any(_plain(column) == "question_id" for column in self._evidence)
        return not has_question and (self._evidence[name].questions > MIN_SHARE or numbered)

    def _question_without_answer(self) -> str:
        texts = [name for name, each in self._evidence.items() if each.texts > MIN_SHARE and name not in ID_FIELDS]
        questions = [name for name in texts if self._evidence[name].questions > MIN_SHARE]
        ambiguous = _first((AMBIGUOUS,), texts)
        return next(iter([*questions, *([ambiguous] if ambiguous else [])]), "")

    def _context(self, texts: Sequence[str], question: str) -> tuple[str, ...]:
        """The texts that stand before the question, or after an instruction."""
        before = [name for name in _in_order(CONTEXT, texts) if name != question]
        instruction = _first(("instruction", "指令"), texts)
        extra = _first(("input", "输入"), texts)
        if instruction and instruction != question:
            before.insert(0, instruction)
        if extra and extra != question and _plain(question) in ("instruction", "指令"):
            before.append(extra)
        return tuple(name for name in before if self._evidence[name].texts > MIN_SHARE)

    def _free_texts(self, mapping: ColumnMapping) -> list[str]:
        used = {*parts_of(mapping), HISTORY, *REFERENCES, *ID_FIELDS}
        return [name for name, each in self._evidence.items() if each.is_free_text and name not in used]


def is_enough(mapping: ColumnMapping) -> bool:
    """Tell whether rows can be made: turns, or an answer and an image or a question to answer."""
    return bool(mapping.turns or (mapping.answer and (mapping.images or mapping.question)))


def parts_of(mapping: ColumnMapping) -> Iterator[str]:
    """Every column that plays a part."""
    yield from (*mapping.images, *mapping.turns, *mapping.context, *mapping.choices)
    yield from (name for name in (mapping.question, mapping.answer, mapping.system, mapping.split) if name)


def names_of(row: Mapping[str, Any]) -> Iterator[str]:
    """Name the columns of a row, and as `outer.inner` what stands in an object that names no image."""
    for name, value in row.items():
        yield name
        if isinstance(value, dict) and not value.keys() & {"bytes", "path", "url"}:
            yield from (f"{name}.{inner}" for inner, each in value.items() if not isinstance(each, dict))


def cell(row: Mapping[str, Any], name: str) -> Any:
    """What a row holds under a name of `names_of`; None where it has no such column."""
    if name in row or "." not in name:
        return row.get(name)
    outer, _, inner = name.partition(".")
    value = row.get(outer)
    return value.get(inner) if isinstance(value, dict) else None


def _without_ambiguous(names: Mapping[str, None]) -> dict[str, None]:
    """Leave out what stands in several objects under one name: nobody knows which of them is meant."""
    counts = Counter(name.partition(".")[2] for name in names if "." in name)
    return {name: None for name in names if counts[name.partition(".")[2]] < 2}


def _with_first_choice(mapping: ColumnMapping, rows: Sequence[Mapping[str, Any]]) -> ColumnMapping:
    """Note how answers number their choices, where that is not given."""
    if not mapping.choices or mapping.first_choice is not None:
        return mapping
    return mapping.model_copy(update={"first_choice": first_index(rows, mapping)})


def has_answer(mapping: ColumnMapping, row: Mapping[str, Any]) -> bool:
    """Tell whether a row has the column of the answer, or of the turns."""
    if mapping.turns:
        return any(row.get(name) for name in mapping.turns)
    return bool(mapping.answer) and (mapping.answer in row or cell(row, mapping.answer) is not None)


def _is_list_of_objects(value: Any) -> bool:
    value = listed(value)
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _evidence(values: Sequence[Any], names_image: NamesImage) -> ColumnEvidence:
    filled = [value for value in values if value not in (None, "", [], {})]
    count = max(1, len(filled))
    texts = [str(value) for value in filled if isinstance(value, str | int | float)]
    return ColumnEvidence(
        filled=len(filled),
        images=sum(map(names_image, filled)) / count,
        addresses=sum(isinstance(value, str) and bool(_ADDRESS.match(value)) for value in filled) / count,
        turns=sum(is_turns(listed(value)) for value in filled) / count,
        questions=sum(bool(_QUESTION_END.search(text)) for text in texts) / count,
        texts=len(texts) / count,
        words=sum(len(text.split()) for text in texts) / max(1, len(texts)),
    )


def _plain(name: str) -> str:
    """A name as the lists above write it: `Image Path`, `imagePath` and `image-path` are `image_path`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.rpartition(".")[2].strip())
    return re.sub(r"[\s-]+", "_", spaced).casefold()


def _is_known(name: str, known: tuple[str, ...]) -> bool:
    return _plain(name) in known


def _in_order(known: Sequence[str], columns: Iterable[str]) -> list[str]:
    """Those of the columns that are known, the better known first; of equals the outer and earlier one."""
    ranks = {name: rank for rank, name in enumerate(known)}
    columns = list(columns)
    found = [name for name in columns if _plain(name) in ranks]
    parts = [name for name in columns if not name.isascii() and any(not k.isascii() and k in name for k in known)]
    return sorted(found, key=lambda name: (ranks[_plain(name)], "." in name)) or parts


def _first(known: Sequence[str], columns: Iterable[str]) -> str:
    return next(iter(_in_order(known, columns)), "")


def _series(columns: Sequence[str]) -> list[str]:
    """The columns of the longest series that differ only in a number, in its order."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in columns:
        if match := re.search(r"\d+(?=\D*$)", name):
            groups.setdefault(f"{name[: match.start()]}#{name[match.end() :]}", []).append((int(match[0]), name))
    longest = max(groups.values(), key=len, default=[])
    return [name for _, name in sorted(longest)]


def _listing(names: Sequence[str]) -> str:
    return " or ".join(f"`{quoted(name, 40)}`" for name in names[:4])
