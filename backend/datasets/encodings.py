"""How a text file is encoded, where it is not UTF-8: by what its bytes would say in each encoding.

Every encoding that fits gets the logarithm of how likely its text is, letter by letter, from the letters that a
language uses most (the tables of `charset-normalizer`) and from the parts of a character set that hold its everyday
characters. The best is taken where it leaves the next far behind, and less far where `charset-normalizer` agrees;
otherwise nobody knows, and a person is asked. Its own judgement alone takes a word or two of Big5 for Japanese.
"""

import codecs
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from charset_normalizer import from_bytes
from charset_normalizer.constant import FREQUENCIES

CHUNK_BYTES = 1 << 20
SAMPLE_BYTES = 1 << 15  # of lines that are not plain ASCII
MIN_LEAD = 14.0  # in nats over the next best text
MIN_LEAD_AGREED = 8.0  # where charset-normalizer reads the same text
WORST_MEAN = -6.5  # a byte beyond ASCII: below that it is no text at all
MAX_EXAMPLES = 5
WIDE_USE = {"cp1252": 5.0, "gb18030": 1.0}  # in nats, of what most systems write
MULTI_BYTE = ("gb18030", "cp950", "cp949", "cp932", "euc_jp")
CANDIDATES = (
    *MULTI_BYTE, "cp1252", "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256", "cp874", "mac_roman",
    "cp850",
)  # fmt: skip
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_LANGUAGES = {
    "cp1251": ("Russian", "Ukrainian", "Bulgarian"), "koi8_r": ("Russian",), "cp1253": ("Greek",),
    "cp1255": ("Hebrew",), "cp1256": ("Arabic", "Farsi"), "cp874": ("Thai",),
}  # fmt: skip
_LATIN = {  # letters beyond ASCII that the languages of a code page use
    "cp1252": "éèàêçâîôûëïùœüöäßñáíóúãõåæøìò¿¡°", "mac_roman": "éèàêçâîôûëïùœüöäßñáíóúãõåæøìò¿¡°",
    "cp850": "éèàêçâîôûëïùüöäßñáíóúãõåæøìò¿¡°", "cp1254": "ğışİüöçâîû",
    "cp1250": "ąęłńóśźżćčšžřěůďťňáéíýúöüőűľĺôđăţşâîä",
}  # fmt: skip
_RARE = {"cp1252": "", "mac_roman": "", "cp850": "", "cp1254": "âîû", "cp1250": "ĺľőűđăţşâîôä"}
_PUNCTUATION = "。，、？！：；「」『』（）《》…—–“”‘’„«»·・\u3000～"
_TRADITIONAL = (
    "這個們來為國說時會對爾後過學麼經當發還長開樣無現體兩從頭問動實點種見間進話將電機關車書東門張圖顏裡幾寫讀"
)
_HEADERS = (  # what columns are called: two characters that say more than any others
    "图片", "问题", "答案", "圖片", "問題", "回答", "标签", "標籤", "画像", "質問", "이미지", "질문", "답변", "정답",
    "вопрос", "ответ", "изображение", "سؤال", "جواب",
)  # fmt: skip
SCRIPTS = {"cp1251": "CYRILLIC", "koi8_r": "CYRILLIC", "cp1253": "GREEK", "cp1255": "HEBREW", "cp1256": "ARABIC",
           "cp874": "THAI"}  # fmt: skip


class Encoding(NamedTuple):
    """How to decode a file. Where it does not fit, some bytes decode to lone surrogates (`surrogateescape`)."""

    name: str
    fits: bool
    errors: str = "surrogateescape"
    examples: tuple[tuple[str, str], ...] = ()  # where nobody knows: encodings as likely, and how each reads a line

    @property
    def is_unicode(self) -> bool:
        """Whether it is one that needs no word."""
        return self.name.startswith("utf")


def encoding_of(path: Path, chosen: str = "") -> Encoding:
    """Tell how to decode `path`: by its byte-order mark, else UTF-8, else as a person chose, else the likeliest.

    A UTF-8 file with a few bad bytes stays UTF-8, so that its good lines can be read; `fits` is false then.

    Raises:
        OSError: it cannot be read.
        LookupError: Python knows no encoding of the chosen name.
    """
    with path.open("rb") as source:
        head = source.read(1 << 12)
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), None) or _unmarked_utf16(head)
    if marked and marked.startswith(("utf-16", "utf-32")):
        return Encoding(marked, fits=True, errors="replace")
    if b"\x1b$" in head and _fits(path, "iso2022_jp"):
        return Encoding("iso2022_jp", fits=True)
    name = marked or "utf-8"
    if _fits(path, name):
        return Encoding(name, fits=True)
    if chosen:
        name = codecs.lookup(chosen).name
        return Encoding(name, fits=_fits(path, name))
    if marked or not _is_hardly_utf8(path):
        return Encoding(name, fits=False)
    return _likeliest(path)


def likeliest_of(raw: bytes) -> list[tuple[str, str, float]]:
    """Every encoding that fits, with its text and the logarithm of its likelihood, the likeliest first.

    Of several that read the same text, the first of `CANDIDATES` stands for all.
    """
    texts: dict[str, str] = {}
    for name in CANDIDATES:
        try:
            texts.setdefault(raw.decode(name), name)
        except UnicodeDecodeError:
            continue
    ranked = [(name, text, _likelihood(text, name) + WIDE_USE.get(name, 0.0)) for text, name in texts.items()]
    return sorted(ranked, key=lambda each: -each[2])


def decided(raw: bytes, ranked: list[tuple[str, str, float]]) -> bool:
    """Tell whether the likeliest text leaves no doubt."""
    if not ranked or ranked[0][2] < WORST_MEAN * sum(byte > 0x7F for byte in raw):
        return False
    lead = ranked[0][2] - ranked[1][2] if len(ranked) > 1 else MIN_LEAD
    return lead >= MIN_LEAD or (lead >= MIN_LEAD_AGREED and _detected(raw) == ranked[0][1])


def has_bad_bytes(text: str) -> bool:
    """Tell whether a text decoded with `surrogateescape` had bytes that fit no character."""
    return not text.isascii() and any("\udc80" <= character <= "\udcff" for character in text)


def _likeliest(path: Path) -> Encoding:
    sample = b"".join(_lines_beyond_ascii(path))
    ranked = [each for each in likeliest_of(sample) if _fits(path, each[0])]
    if not ranked:
        return Encoding("utf-8", fits=False)
    if decided(sample, ranked):
        return Encoding(ranked[0][0], fits=True)
    near = [each for each in ranked if each[2] > ranked[0][2] - 2 * MIN_LEAD]
    examples = tuple((name, _example(text)) for name, text, _ in near[:MAX_EXAMPLES])
    return Encoding("utf-8", fits=False, examples=examples)


def _lines_beyond_ascii(path: Path) -> Iterator[bytes]:
    taken = 0
    with path.open("rb") as source:
        while taken < SAMPLE_BYTES and (line := source.readline(SAMPLE_BYTES)):
            if not line.isascii():
                taken += len(line)
                yield line


def _example(text: str) -> str:
    """The first part of a text that tells encodings apart."""
    words = [word for word in text.replace(",", " ").replace('"', " ").split() if not word.isascii()]
    return " ".join(words[:4])[:40]


def _detected(raw: bytes) -> str:
    best = from_bytes(raw).best()
    return str(best) if best is not None else ""


def _likelihood(text: str, encoding: str) -> float:
    total, before = sum(10.0 for word in _HEADERS if word in text), " "
    for character in text:
        if character > "\x7f":
            total += _weight(character, encoding) + _beside(character, before, encoding)
        elif encoding in SCRIPTS and character.isalpha() and before > "\x7f" and before.isalpha():
            total -= 5
        before = character
    return total


@lru_cache(maxsize=1 << 16)
def _weight(character: str, encoding: str) -> float:
    """The logarithm of how likely one character is; a pair of bytes that makes one counts for two."""
    if character in _PUNCTUATION:
        return -5.0
    if unicodedata.category(character) in ("Cc", "Co", "Cn", "Cf"):
        return -20.0
    if encoding in MULTI_BYTE:
        return _weight_of_cjk(character, encoding)
    if encoding in _LATIN:
        lower = character.lower()
        if lower not in _LATIN[encoding]:
            return -11.0
        return (-4.0 if character == lower else -6.0) - (2.0 if lower in _RARE[encoding] else 0.0)
    if not unicodedata.name(character, "").startswith(SCRIPTS[encoding]):
        return -10.0
    ranks = [_rank(character.lower(), language) for language in _LANGUAGES[encoding]]
    return -1.5 - min(ranks) * 0.13 - (0.0 if character == character.lower() else 1.5)


def _rank(letter: str, language: str) -> int:
    letters = FREQUENCIES[language]
    return letters.index(letter) if letter in letters else 34


def _weight_of_cjk(character: str, encoding: str) -> float:
    raw = character.encode(encoding)
    if "\u3041" <= character <= "\u30ff":
        return -4.5 if encoding in ("cp932", "euc_jp") else -13.0
    if "\uff61" <= character <= "\uff9f":
        return -9.0
    if "\uac00" <= character <= "\ud7a3":
        usual = len(raw) == 2 and raw[0] >= 0xB0 and raw[1] >= 0xA1  # KS X 1001; the rest are rare syllables
        return (-4.0 if character in FREQUENCIES["Korean"] else -7.5) if usual else -14.0
    if not "\u4e00" <= character <= "\u9fff":
        return -11.0 if len(raw) == 2 else -16.0
    everyday = {
        "gb18030": 0xB0 <= raw[0] <= 0xD7 and raw[1:2] >= b"\xa1" and len(raw) == 2,  # GB 2312, level 1
        "cp950": 0xA4 <= raw[0] <= 0xC6,  # Big5, level 1
        "cp949": False,  # Korean is hardly written with Chinese characters
        "cp932": 0x88 <= raw[0] <= 0x97,  # JIS X 0208, level 1
        "euc_jp": 0xB0 <= raw[0] <= 0xCF and len(raw) == 2,
    }[encoding]
    if character in FREQUENCIES["Chinese"] or (encoding == "cp950" and character in _TRADITIONAL):
        return -5.5
    return -8.5 if everyday else -13.0


def _beside(character: str, before: str, encoding: str) -> float:
    """What a character costs behind the one before it: two accents in a row, two scripts in one word."""
    if encoding in MULTI_BYTE:
        return 0.0
    if encoding in _LATIN:
        capital_inside = character.isalpha() and character != character.lower() and before.islower()
        return (-4.0 if before > "\x7f" and character.isalpha() else 0.0) - (5.0 if capital_inside else 0.0)
    inside = before.isascii() and before.isalpha()
    capital_inside = character.isupper() and before.islower()
    return (-5.0 if inside else 0.0) - (4.0 if capital_inside else 0.0)


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 whose mark is missing, by the zeros of its line ends and ASCII letters."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    most = max(even, odd)
    if most < 4 or 10 * most < len(head) // 2 or min(even, odd) > most // 20:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _fits(path: Path, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_hardly_utf8(path: Path) -> bool:
    """Read as UTF-8, more characters are broken than whole ones lie beyond ASCII."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    broken = beyond_ascii = 0
    with path.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            text = decoder.decode(chunk)
            broken += text.count("\N{REPLACEMENT CHARACTER}")
            beyond_ascii += len(text) - len(text.encode("ascii", "ignore"))
    return broken > beyond_ascii - broken
