"""Compare short answers with those of several people, as the VQA challenge does."""

import re

from backend.metrics.metric import MetricInput, averaged

LEAST_ANSWERS = 4  # with fewer, leaving one out leaves fewer than the three that a full score needs
ENOUGH_PEOPLE = 3
ARTICLES = {"a", "an", "the"}
NUMBER_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(number) for number, word in enumerate(NUMBER_WORDS)} | {"none": "0"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_FORMS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've he's
how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've o'clock
oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd
someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've there're there's
they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's
where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've wouldn't wouldn't've
y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""
# The challenge's list: each form with one apostrophe left out. Its one odd entry is kept; the entries with capitals
# (`Im`, `Ive`) are not, since they never meet a text in small letters.
CONTRACTIONS = {
    form[:place] + form[place + 1 :]: form
    for form in _FORMS.split()
    for place, character in enumerate(form)
    if character == "'"
} | {"somebody'd": "somebodyd"}
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")


def vqa_plain(text: str) -> str:
    """Give an answer in the form in which the VQA challenge compares it.

    Punctuation goes (between words it becomes a space), articles go, number words to ten become digits, and
    contractions get their apostrophe back. A Chinese full stop at the end goes too, which the challenge never meets.

    Source: `processPunctuation` and `processDigitArticle` of the official VQA evaluation (GT-Vision-Lab/VQA,
    PythonEvaluationTools/vqaEvaluation/vqaEval.py).
    """
    text = text.replace("\n", " ").replace("\t", " ").strip().rstrip("。")
    words = (NUMBERS.get(word, word) for word in _without_punctuation(text).lower().split())
    return " ".join(CONTRACTIONS.get(word, word) for word in words if word not in ARTICLES)


def vqa_accuracy(row: MetricInput) -> float:
    """Give how many people would have answered so, three or more of them making 1.

    Each accepted answer is left out once, min(matches among the others / 3, 1) is taken, and the mean of these is the
    score: of ten answers 1, 2, 3 and 4 equal ones give 0.3, 0.6, 0.9 and 1. With fewer than four accepted answers that
    could never reach 1 (with one it is always 0), so there the score is 1 where the answer equals any of them.

    Source: Antol et al., VQA: Visual Question Answering (2015), and the official evaluation of VQAv2. That one leaves
    both sides as they are where all people agree; here they are normalised there too.
    """
    prediction = vqa_plain(row.prediction)
    matches = [vqa_plain(gold) == prediction for gold in row.golds]
    if len(matches) < LEAST_ANSWERS:
        return float(any(matches))
    total = sum(matches)
    return sum(min((total - match) / ENOUGH_PEOPLE, 1.0) for match in matches) / len(matches)


def _notice(_rows: int, answers_per_row: float) -> str | None:
    if answers_per_row < LEAST_ANSWERS:
        return "VQA accuracy needs four accepted answers; where there are fewer, an answer is right if it equals one"
    return None


VQA_ACCURACY = averaged(
    "vqa_accuracy",
    vqa_accuracy,
    label="VQA accuracy",
    description="How many people would have answered so; three or more make a full score",
    suits={"short": 0, "number": 0},
    needs_references=True,
    notice=_notice,
)


def _without_punctuation(text: str) -> str:
    """Drop a mark that touches a space somewhere, and all marks where a number has a comma; make the others spaces."""
    drops_all = _COMMA_IN_NUMBER.search(text) is not None
    remaining = text
    for mark in PUNCTUATION:
        touches_space = mark + " " in text or " " + mark in text  # in the text as it came
        remaining = remaining.replace(mark, "" if drops_all or touches_space else " ")
    return _PERIOD.sub("", remaining)
