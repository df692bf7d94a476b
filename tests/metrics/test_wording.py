"""BLEU, ROUGE-L and CIDEr-D against their libraries, published examples and hand-computed values."""

import math

import pytest
import sacrebleu

from backend.metrics.captions import BLEU, CIDER, ROUGE_L, rouge_l, tokenizer_of
from backend.metrics.metric import MetricInput, words_of

GOLDS = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
OTHERS = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]
GIVEN = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]


def test_bleu_is_that_of_sacrebleus_own_example():
    rows = [MetricInput(gold, given, (other,)) for gold, given, other in zip(GOLDS, GIVEN, OTHERS, strict=True)]

    value = BLEU.of(rows)

    assert value == pytest.approx(0.48530827009929865)  # README of sacrebleu: 48.53
    assert value == pytest.approx(sacrebleu.corpus_bleu(GIVEN, [GOLDS, OTHERS]).score / 100)


def test_chinese_bleu_splits_characters():
    golds, given = ["图中有一只黑色的狗。", "两个人在海边散步"], ["图中有一只狗。", "两个人在海边走路"]

    value = BLEU.of([MetricInput(gold, text) for gold, text in zip(golds, given, strict=True)])

    assert value == pytest.approx(sacrebleu.corpus_bleu(given, [golds], tokenize="zh").score / 100)
    assert [tokenizer_of([text]) for text in ("a dog", "一只狗", "犬がいる")] == ["13a", "zh", "char"]


def test_bleu_of_one_short_row_counts_only_runs_it_has():
    rows = [MetricInput("red", "red"), MetricInput("red cup", "blue cup"), MetricInput("red", ""), MetricInput("", "")]

    assert BLEU.rows(rows) == [
        1.0,
        pytest.approx(sacrebleu.sentence_bleu("blue cup", ["red cup"]).score / 100),
        0.0,
        None,
    ]
    assert BLEU.of(rows[:1]) == 0.0  # over a corpus there must be runs of four


def test_rouge_is_f1_of_the_longest_common_sequence():
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(3 / 4)  # Lin (2004), S1, S2
    assert rouge_l("police killed the gunman", "the gunman kill police") == pytest.approx(2 / 4)
    assert rouge_l("一只黑狗", "一只狗") == pytest.approx(2 * 3 / 7)
    assert rouge_l("...", "...") == 0.0
    assert ROUGE_L.of([MetricInput("a b", "c d", ("c d e",))]) == pytest.approx(4 / 5)


def test_words_are_those_of_any_writing():
    assert words_of("The cat_sat, 2.5 m!") == ["the", "cat", "sat", "2", "5", "m"]
    assert words_of("Das Café，两只猫 ひと") == ["das", "café", "两", "只", "猫", "ひ", "と"]
    assert words_of("हिन्दी ＡＢＣ") == ["हिन्दी", "abc"]


def test_cider_of_captions_without_common_words_is_ten_where_right():
    rows = [
        MetricInput("red cup on table", "red cup on table"),
        MetricInput("big dog runs home", "some cat sleeps here"),
    ]

    assert CIDER.rows(rows) == pytest.approx([10.0, 0.0])


def test_cider_lessens_for_length_and_for_words_that_all_captions_have():
    rows = [MetricInput("a red cup", "a red cup here"), MetricInput("a dog runs", "a")]

    # "a" weighs log(2 / 2) = 0. Shared: red, cup; a red, red cup; a red cup. Each weighs log 2.
    one, two, three = 2 / math.sqrt(2 * 3), 2 / math.sqrt(2 * 3), 1 / math.sqrt(1 * 2)
    expected = 10 * (one + two + three) / 4 * math.exp(-1 / 72)  # the lengths differ by one pair

    assert CIDER.rows(rows) == pytest.approx([expected, 0.0])
    assert CIDER.rows(rows[:1]) == [0.0]  # one row knows no rare words
