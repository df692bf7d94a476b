import math
from types import SimpleNamespace

import pytest
from reward_lab import batch, returning, scored, worker

from backend.rewards.contract import Scores

LIBRARY = "import numpy as np\nfrom decimal import Decimal\nfrom fractions import Fraction\n"


@pytest.fixture(scope="module")
def entry():
    """Score one entry, in one worker for all of them: the reward evaluates what the answer says."""
    text = LIBRARY + "def reward(completions: list[str], **kwargs):\n    return [eval(c) for c in completions]\n"
    with worker(text) as started:
        assert started.isolation  # so that it is started here, and not in the folder of the first test
        yield lambda expression: started.score(batch(expression, "1.5"))


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1.0), ("0", 0.0), ("-2.5", -2.5), ("None", None), ("10**29", 1e29), ("Fraction(1, 4)", 0.25),
        ("np.float32(0.5)", 0.5), ("np.float64(2)", 2.0), ("np.int64(7)", 7.0), ("np.array(3.0)", 3.0),
        ("type('Tensor', (), {'ndim': 0, 'item': lambda self: 4})()", 4.0),
    ],
)  # fmt: skip
def test_r7_an_entry_that_is_a_number_or_none_is_taken(entry, written, value):
    scores = entry(written)

    assert (scores.values, scores.invalid, scores.failure) == ((value, 1.5), ("", ""), None)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("True", "True is no number; write 1.0"), ("np.False_", "False is no number; write 0.0"),
        ("float('nan')", "nan is no number"), ("1e400", "inf is no number"), ("10**31", "the number is too large"),
        ("np.float32('-inf')", "-inf is no number"),
        ("10**400", "the number is too large"), ("'1.0'", "str is no number"), ("[1.0]", "list is no number"),
        ("1j", "complex is no number"), ("Decimal(1)", "Decimal is no number"),
        ("np.array([1.0])", "ndarray is no number"),
        ("{'format': 1.0}", 'dict without "overall"'), ("{'overall': 1.0, 'format': 'x'}", "str is no number"),
        ("{'overall': True}", "True is no number; write 1.0"),
        ("type('Odd', (), {'ndim': 0, 'item': lambda self: 1 / 0})()", "Odd is no number: division by zero"),
    ],
)  # fmt: skip
def test_r7_any_other_entry_has_no_value_and_a_reason(entry, written, why):
    scores = entry(written)

    assert (scores.values, scores.invalid, scores.failure) == ((None, 1.5), (why, ""), None)
    assert scores.error_count == 1


# Objects that do anything when they are looked at: each is an entry, a part or its name, something logged, an error.
ODD = """import math, numbers, sys

class LeavingName(type):
    @property
    def __name__(cls): sys.exit('name')
    def __instancecheck__(cls, other): sys.exit('instance')

class Named(metaclass=LeavingName): pass

class Number(numbers.Real.__class__('Base', (), {})):
    def __float__(self): sys.exit('float')
numbers.Real.register(Number)

class Posing:
    @property
    def __class__(self): sys.exit('class')

class Float(float):
    def __float__(self): raise KeyboardInterrupt
    def __abs__(self): return 0.0

class Text(str):
    def __hash__(self): sys.exit('hash')
    def __eq__(self, other): sys.exit('eq')
    def __len__(self): sys.exit('len')
    def __getitem__(self, key): sys.exit('item')
    def __str__(self): return self

class Part:
    def __str__(self): return Text('part')

class Closing:
    write = lambda self, text: None
    def flush(self): sys.exit('flush')

def spoil():
    fsum = math.fsum
    def leaving(values):
        math.fsum = fsum
        sys.exit('sum')
    math.fsum = leaving

class Speechless(Exception):
    def __str__(self): sys.exit('str')

class Mute(ValueError, metaclass=LeavingName):
    __traceback__ = property(lambda self: sys.exit('traceback'))
    def __str__(self): sys.exit('str')

class Raising:
    def __init__(self, error): self.error = error
    ndim = 0
    def item(self): raise self.error

class Items(dict):
    def __contains__(self, key): return True
    def items(self): sys.exit('items')

class NoOverall(dict):
    def __contains__(self, key): return True

def generating():
    yield 1.0
    sys.exit('generator')

def odd_line():
    error = SyntaxError('odd', ('<reward:mine>', 1, 1, 'x'))
    error.lineno = object()
    raise error

def fails(error):
    raise error
"""


@pytest.fixture(scope="module")
def odd():
    text = (
        ODD + "def reward(completions: list[str], log_extra, log_metric, **kwargs):\n    return eval(completions[0])\n"
    )
    with worker(text) as started:
        assert started.isolation
        yield started


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ("Named()", "Named is no number"), ("Number()", "Number is no number: float"),
        ("Posing()", "Posing is no number: class"), ("Float(3)", "Float is no number: KeyboardInterrupt"),
        ("Raising(Speechless())", "Raising is no number: Speechless"),
        ("Raising(SystemExit())", "Raising is no number: SystemExit"), ("Items()", "Items is no number: items"),
        ("Raising(Mute())", "Raising is no number: Mute"), ("NoOverall()", "NoOverall is no number: 'overall'"),
        ("{'overall': 1, 'part': Number()}", "dict is no number: float"), ("Text('1')", "Text is no number"),
    ],
)  # fmt: skip
def test_r21_an_entry_that_leaves_when_it_is_read_is_its_rows_error(odd, entry, why):
    before = odd._process

    scores = odd.score(batch(f"[{entry}, 1.5]", "b"))

    assert (scores.values, scores.invalid, scores.failure) == ((None, 1.5), (why, ""), None)
    assert odd._process is before  # the worker lives on


@pytest.mark.parametrize(
    "returned",
    [
        "generating()", "fails(Speechless())", "fails(Mute())", "odd_line()", "log_metric(Text('a'), 1)",
        "log_extra('a', [Text('b')] * 2)", "log_extra('a', [Float('nan')] * 2)", "log_extra(Text('a'), [1, 2])",
        "log_extra('a', [Posing(), Named()])", "[{'overall': 1, Text('a'): 1}] * 2", "Items()", "Posing()", "Named()",
        "setattr(sys, 'stdout', Posing())", "fails(type('Leaving', (SystemExit,), {'code': property(fails)})())",
        "setattr(sys, 'stdout', Closing()) or [1, 2]", "log_metric('a', 1) or spoil() or [1, 2]",
        "setattr(sys, 'stderr', Named()) or log_metric('a', None)", "fails(OSError(28, Text('full')))",
    ],
)  # fmt: skip
def test_r21_whatever_else_is_odd_fails_the_batch_at_most_and_the_worker_lives_on(odd, returned):
    before = odd._process

    scores = odd.score(batch(returned, "b"))

    assert scores.failure is None or scores.failure.kind in ("error", "exit")
    assert odd.score(batch("[1, 2]", "b")).values == (1.0, 2.0)
    assert odd._process is before


def test_r21_names_that_are_no_plain_texts_are_read_as_such(odd):
    scores = odd.score(
        batch("log_metric(Part(), 3) or log_extra(Part(), [1, Part()]) or [{'overall': 1, Part(): 2}] * 2", "b")
    )

    assert (scores.values, scores.parts, scores.failure) == ((1.0, 1.0), {"part": (2.0, 2.0)}, None)
    assert (scores.metrics, scores.columns) == ({"part": 3.0}, {"part": [1, "part"]})


def test_r7_a_dict_brings_its_parts():
    scores = scored(returning("[{'overall': 1, 'format': 0.5}, {'overall': None, 'content': None}]"))

    assert scores.values == (1.0, None)
    assert scores.parts == {"format": (0.5, None), "content": (None, None)}
    assert scores.invalid == ("", "")


@pytest.mark.parametrize(
    "expression",
    ["[1, 2]", "(1, 2)", "(n for n in (1, 2))", "{1: 'a', 2: 'b'}.keys()", "__import__('numpy').array([1, 2])",
     "map(int, '12')"],
)  # fmt: skip
def test_r7_any_sequence_of_b_entries_is_taken(expression):
    assert scored(returning(expression)).values == (1.0, 2.0)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[1]", "`reward` returned 1 values for 2 answers"),
        ("[1, 2, 3]", "`reward` returned more than 2 values for 2 answers"),
        ("__import__('itertools').count()", "`reward` returned more than 2 values for 2 answers"),
        ("'ab'", "`reward` returned str, not a list of 2 numbers"),
        ("{'overall': 1, 'b': 2}", "`reward` returned dict, not a list of 2 numbers"),
        ("{1, 2}", "`reward` returned set, not a list of 2 numbers"),
        ("None", "`reward` returned None, not a list of 2 numbers"),
        ("1.0", "`reward` returned float, not a list of 2 numbers"),
        ("__import__('numpy').float64(1)", "`reward` returned float64, not a list of 2 numbers"),
        ("__import__('numpy').array(1)", "TypeError: iteration over a 0-d array"),
    ],
)
def test_r7_what_is_no_list_of_b_entries_fails_the_batch(expression, message):
    scores = scored(returning(expression))

    assert scores.failure
    assert (scores.failure.kind, scores.failure.message) == ("error", message)
    assert scores.values == (None, None)
    assert scores.error_count == 2


def test_r7_a_generator_that_raises_fails_the_batch_at_its_line():
    text = "def reward(completions, **kwargs):\n    yield 1.0\n    raise ValueError('late')\n"

    failure = scored(text).failure

    assert failure
    assert (failure.message, failure.line) == ("ValueError: late", 3)


def test_rewards_get_what_trl_hands_over():
    text = (
        "def reward(prompts, completions, completion_ids, trainer_state, answer, **kwargs):\n"
        "    print(prompts[0], completions[0], completion_ids[0], answer, trainer_state.global_step,\n"
        "          trainer_state.max_steps, sorted(kwargs), sep='|', end='')\n"
        "    return [1.0]\n"
    )

    scores = scored(text, batch("7", answer=["seven"], images=[["a.png"]]))

    assert scores.values == (1.0,)
    assert scores.printed.split("|") == [
        "[{'role': 'user', 'content': '<image>How many?'}]", "[{'role': 'assistant', 'content': '7'}]", "[0]",
        "['seven']", "3", "40", "['images', 'log_extra', 'log_metric']",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "def reward(completions: list[str]):\n    return [len(c) for c in completions]",
        "async def reward(completions: list[str], **kwargs):\n    return [len(c) for c in completions]",
        "class Reward:\n    async def __call__(self, completions, **kwargs):\n"
        "        return [len(c[0]['content']) for c in completions]\nreward = Reward()",
        "from functools import partial\ndef scale(factor, completions, **kwargs):\n"
        "    return [factor * len(c[0]['content']) for c in completions]\nreward = partial(scale, 1)",
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Rule:\n    weight: float = 1.0\n"
        "def reward(completion_ids):\n    return [Rule().weight * len(ids) for ids in completion_ids]",
    ],
)
def test_any_callable_with_any_selection_of_arguments_is_called(text):
    scores = scored(text, batch("ab", "\N{SNOWMAN}"))

    assert (scores.values, scores.failure) == ((2.0, 1.0), None)


def test_a_reward_logs_metrics_and_columns():
    text = (
        "def reward(completions, log_metric, log_extra):\n"
        "    for value in (1, 2, float('nan'), True):\n"
        "        log_metric('mean', value)\n"
        "    log_metric('flag', True)\n"
        "    log_extra('seen', ['\\ud800', {1}])\n"
        "    log_extra('short', [1])\n"
        "    log_extra('odd', [float('inf'), 10**400])\n"
        "    return [0.0, 0.0]\n"
    )

    scores = scored(text)

    assert scores.metrics == {"mean": 1.5}
    assert scores.columns == {"seen": ["?", "{1}"], "odd": ["inf", "1" + "0" * 400]}
    assert scores.printed.splitlines() == [
        "log_metric('mean'): nan is no number; left out",
        "log_metric('mean'): True is no number; write 1.0; left out",
        "log_metric('flag'): True is no number; write 1.0; left out",
        "log_extra('short'): 1 values for 2 answers; left out",
    ]


def test_a_source_without_a_reward_fails_each_batch():
    with worker("x = 1") as started:
        assert [started.score(batch()).failure.message for _ in range(2)] == ["The source does not define `reward`"] * 2


# TRL's own rewards, unchanged in the worker, against the same called directly -----------------------------------------

TEXTS = (
    "<think>\nwhy\n</think>\n\\boxed{\\frac{1}{3}}", "\\boxed{\\frac{1}{2}}", "<think>a <think>b</think>", "",
    "\\boxed{",
    "so it is $\\frac{1}{3}$, finally", "no number " * 40,
)  # fmt: skip
SOLUTIONS = ("\\frac{1}{3}", "$\\frac{1}{2}$", "x^2", "7", "", "1/3", "not mathematics")
FACTORIES = {
    "think_format_reward": "from trl.rewards import think_format_reward as reward",
    "accuracy_reward": "from trl.rewards import accuracy_reward as reward",
    "get_soft_overlong_punishment(100, 60)": "from trl.rewards import get_soft_overlong_punishment\n"
    "reward = get_soft_overlong_punishment(100, 60)",
    "get_repetition_penalty_reward(2, -1.0)": "from trl.rewards import get_repetition_penalty_reward\n"
    "reward = get_repetition_penalty_reward(2, -1.0)",
    "get_cosine_scaled_reward(200)": "from trl.rewards import get_cosine_scaled_reward\n"
    "reward = get_cosine_scaled_reward(200)",
}


@pytest.mark.parametrize(("made", "text"), FACTORIES.items())
def test_r7_the_rewards_of_trl_give_what_they_give_when_called(made, text):
    from trl import rewards

    asked = batch(*TEXTS, solution=list(SOLUTIONS)).model_copy(
        update={"completion_ids": tuple((1, 2, 3) * (len(text) // 3 + 1) for text in TEXTS)}
    )
    direct = eval(made, vars(SimpleNamespace(**{name: getattr(rewards, name) for name in dir(rewards)})))
    expected = direct(
        completions=[[{"role": "assistant", "content": text}] for text in TEXTS],
        completion_ids=[list(ids) for ids in asked.completion_ids], solution=list(SOLUTIONS),
    )  # fmt: skip

    scores = scored(text, asked)

    assert scores.failure is None
    assert list(scores.values) == expected
    assert len({value for value in expected if value is not None}) > 1
    assert all(value is None or math.isfinite(value) for value in scores.values)
    assert isinstance(scores, Scores)
