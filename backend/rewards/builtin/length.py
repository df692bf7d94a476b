"""Pays up to 1 for at most 40 words: all of it up to there, less and less above, nothing from 50 words on.

A Chinese or Japanese character counts as a word, and so does every 20th letter of what has no spaces. An empty answer
earns nothing, nor does one that says the same thing over and over. It says nothing about the answer's truth: give it a
small weight beside a reward that does.
"""

SOFT_LIMIT = 40  # words that are paid in full
HARD_LIMIT = 50  # words from which on nothing is paid
LONGEST_WORD = 20  # letters
MOST_REPEATS = 10  # an answer that is one piece so many times over is no answer
FIRST_WIDE = "\u2e80"  # where the characters begin that are words of their own


def reward(completions: list[str], **columns: object) -> list[float | None]:
    """Score the length of each completion."""
    return [_score(completion) for completion in completions]


def _score(text: str) -> float:
    if not any(map(str.isalnum, _final(text))) or _repeats(text) >= MOST_REPEATS:
        return 0.0
    over = _words(text) - SOFT_LIMIT
    return min(1.0, max(0.0, 1 - over / max(1, HARD_LIMIT - SOFT_LIMIT)))


def _words(text: str) -> int:
    wide = sum(character >= FIRST_WIDE for character in text)
    others = "".join(" " if character >= FIRST_WIDE else character for character in text).split()
    return wide + sum(1 + (len(word) - 1) // LONGEST_WORD for word in others)


def _repeats(text: str) -> int:
    """How many times over a text is one and the same piece; its letters and digits count."""
    letters = "".join(filter(str.isalnum, text))
    return len(letters) // (letters + letters).find(letters, 1) if letters else 0


def _final(text: str) -> str:
    """Give what stands between <answer> and </answer>, or all of the text where those are not there exactly once."""
    if text.count("<answer>") == text.count("</answer>") == 1:
        return text.split("<answer>")[1].split("</answer>")[0]
    return text
