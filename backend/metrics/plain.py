"""What counts of a text: its plain form, and its words in any writing."""

import re
import unicodedata

# Ideographs and kana, which stand side by side without spaces; Hangul has spaces.
_WIDE = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_ASCII_WORD = re.compile("[a-z0-9]+")


def plain(text: str) -> str:
    """Drop case, the kind and amount of white space, and full stops at the end."""
    return " ".join(text.casefold().split()).rstrip(".。")


def has_wide(text: str) -> bool:
    """Whether a text holds ideographs or kana."""
    return _WIDE.search(text) is not None


def split_wide(text: str) -> list[str]:
    """Split at white space, and every ideograph and kana from its neighbours. Case and punctuation stay."""
    return _WIDE.sub(r" \1 ", text).split()


def words_of(text: str) -> list[str]:
    """Give the words without case and punctuation; an ideograph or kana is a word of its own.

    On ASCII text these are the tokens of rouge-score without its stemmer. Elsewhere letters, digits and their marks are
    kept, in the compatible form of Unicode (NFKC), where rouge-score drops them.
    """
    if text.isascii():
        return _ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = (character if unicodedata.category(character)[0] in "LMN" else " " for character in folded)
    return split_wide("".join(kept))
