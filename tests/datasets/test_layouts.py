import json

import pytest

from backend.conversation import Message
from backend.datasets.layouts import convert, recognise
from backend.datasets.records import ColumnMapping
from backend.datasets.turns import RowFault, faults_of, with_trimmed_placeholders

WANTED = (Message(role="user", content="<image>What?"), Message(role="assistant", content="Red"))
TURNS = [{"role": "user", "content": "<image>\n What?"}, {"role": "assistant", "content": "Red"}]
TEXT = {"type": "text", "text": "What?", "image": None}
RED = {"role": "assistant", "content": [{"type": "text", "text": "Red"}]}
HUMAN, GPT = {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Red"}


def user(*parts):
    return {"role": "user", "content": list(parts)}


LAYOUTS = [
    ("llava", {"image": "a.png", "conversations": [HUMAN, GPT]}),
    ("llava", {"images": ["a.png"], "conversations": [{"from": "user", "value": "What?"}, GPT]}),
    ("messages", {"messages": TURNS, "images": ["a.png"]}),
    ("messages", {"messages": TURNS, "image": "a.png", "videos": None, "system": ""}),
    ("messages", {"conversations": TURNS, "images": [{"path": "a.png", "width": 3}]}),
    ("messages", {"messages": json.dumps(TURNS), "images": '["a.png"]'}),
    ("parts", {"messages": [user({"type": "image", "image": "a.png", "text": None}, TEXT), RED]}),
    ("parts", {"messages": [user({"type": "image_url", "image_url": {"url": "a.png"}}, TEXT), TURNS[1]]}),
    ("parts", {"messages": [user({"type": "image_url", "value": "a.png"}, {"type": "text", "value": "What?"}), RED]}),
    ("parts", {"messages": [user({"type": "image"}, TEXT), RED], "images": ["a.png"]}),
    ("prompt_completion", {"prompt": "What?", "completion": "Red", "image": "a.png"}),
    ("prompt_completion", {"prompt": TURNS[:1], "completion": TURNS[1:], "images": ["a.png"]}),
    ("prompt_completion", {"prompt": [user({"type": "image"}, TEXT)], "completion": [RED], "images": ["a.png"]}),
    ("table", {"image": "a.png", "question": "What?", "answer": "Red"}),
    ("table", {"图片": "a.png", "问题": "What?", "答案": "Red"}),
    ("table", {"img_path": "a.png", "prompt": "What?", "response": "Red"}),
    ("table", {"images": ["a.png"], "problem": "<image>What?", "answer": "Red"}),
    ("table", {"Image Path": "a.png", "Question": "What?", "Answer": "Red", "id": 7}),
]


@pytest.mark.parametrize(("layout", "row"), LAYOUTS)
def test_u13_every_layout_becomes_the_same_row(layout, row):
    draft = convert(row)

    assert recognise(row) == layout
    assert with_trimmed_placeholders(draft.messages) == WANTED
    assert draft.images == ["a.png"]


def test_u13_the_canonical_form_reads_as_itself():
    row = {
        "id": "1",
        "images": ["a.png"],
        "messages": [m.model_dump() for m in WANTED],
        "source": "x",
    }

    draft = convert(row)

    assert (tuple(draft.messages), draft.images) == (WANTED, ["a.png"])


@pytest.mark.parametrize(
    "row",
    [
        {"a": 1},
        {"image": "a.png"},
        {"prompt": "p", "chosen": "c", "rejected": "r"},
        {"messages": "hello"},
        {"messages": [3]},
    ],
)
def test_other_rows_are_not_recognised(row):
    assert recognise(row) is None
    with pytest.raises(RowFault) as caught:
        convert(row)
    assert caught.value.code == "ROW_UNRECOGNISED"


def test_mapped_columns_are_read_whatever_they_are_called():
    mapping = ColumnMapping(images=("scan",), question="ask", answer="say", system="rules")

    draft = convert({"scan": "a.png", "ask": "What?", "say": 7, "rules": "Be short."}, mapping)

    assert [(m.role, m.content) for m in draft.messages] == [
        ("system", "Be short."),
        ("user", "<image>What?"),
        ("assistant", "7"),
    ]


def test_captions_have_the_image_alone_as_the_question():
    assert convert({"image": "a.png", "caption": "A cat"}).messages[0].content == "<image>"


def test_the_one_text_of_a_list_is_the_answer():
    assert convert({"image": "a.png", "query": "How many?", "label": ["14"]}).messages[1].content == "14"


def test_instructions_with_input_and_history_become_turns():
    row = {"instruction": "Translate", "input": "cat", "output": "猫", "history": [["Hi", "Hello"]], "system": "S"}

    contents = [message.content for message in convert(row).messages]

    assert contents == ["S", "Hi", "Hello", "Translate\ncat", "猫"]


def test_several_images_keep_the_order_of_their_placeholders():
    content = [{"type": "text", "text": "<image>or"}, {"type": "image", "image": "own.png"}, {"type": "image"}]
    row = {"images": ["1.png", "2.png"], "messages": [{"role": "user", "content": content}, TURNS[1]]}

    draft = convert(row)

    assert draft.messages[0].content == "<image>or<image><image>"
    assert draft.images == ["1.png", "own.png", "2.png"]


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"messages": TURNS, "videos": ["v.mp4"]}, "VIDEO_ROW"),
        ({"video": "v.mp4", "conversations": TURNS}, "VIDEO_ROW"),
        ({"messages": [{"role": "user", "content": [{"type": "video", "video": "v.mp4"}]}, TURNS[1]]}, "VIDEO_ROW"),
        ({"messages": TURNS, "audios": ["a.wav"]}, "AUDIO_ROW"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "TOOL_CALL"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "ROLE_UNKNOWN"),
        ({"messages": [{"content": "x"}]}, "ROLE_UNKNOWN"),
        ({"messages": [TURNS[0], "Red"]}, "TEXT_TYPE"),
        ({"messages": [TURNS[0], {"role": "assistant", "content": {"a": 1}}]}, "TEXT_TYPE"),
        ({"question": "Q", "answer": ["A", "B"]}, "TEXT_TYPE"),
        ({"messages": TURNS, "images": [[7]]}, "IMG_REFERENCE"),
        ({"messages": TURNS, "images": [{"width": 7}]}, "IMG_REFERENCE"),
    ],
)
def test_what_cannot_be_understood_is_refused_by_code(row, code):
    with pytest.raises(RowFault) as caught:
        convert(row)

    assert caught.value.code == code


def turns(*pairs):
    return [Message(role=role, content=content) for role, content in pairs]


def found(images, *pairs):
    return [fault.code for fault in faults_of(turns(*pairs), images)]


def test_a_good_conversation_has_no_faults():
    assert found(0, ("system", "S"), ("user", "Q"), ("assistant", "A"), ("user", "Q"), ("assistant", "A")) == []


def test_u14_placeholders_and_images_must_count_the_same():
    answer = ("assistant", "A")

    assert found(1, ("user", "<image>Q"), answer) == []
    assert found(1, ("user", "Q"), answer) == ["IMG_COUNT"]
    assert found(1, ("user", "<image><image>Q"), answer) == ["IMG_COUNT"]
    assert found(2, ("user", "<image>Q"), answer) == ["IMG_COUNT"]


def test_u14_images_belong_to_user_turns():
    assert found(1, ("user", "Q"), ("assistant", "<image>A")) == ["IMG_IN_ANSWER"]
    assert found(1, ("system", "<image>"), ("user", "Q"), ("assistant", "A")) == ["IMG_IN_ANSWER"]


@pytest.mark.parametrize(
    ("pairs", "codes"),
    [
        ([("user", "Q")], ["ANSWER_MISSING"]),
        ([], ["ANSWER_MISSING"]),
        ([("user", "Q"), ("assistant", "A"), ("user", "Q")], ["ANSWER_MISSING"]),
        ([("assistant", "A")], ["ROLE_ORDER"]),
        ([("user", "Q"), ("user", "Q"), ("assistant", "A")], ["ROLE_ORDER"]),
        ([("user", "Q"), ("system", "S"), ("assistant", "A")], ["ROLE_ORDER"]),
        ([("user", "Q"), ("assistant", " \n")], ["ANSWER_EMPTY"]),
        ([("user", ""), ("assistant", "A")], ["QUESTION_EMPTY"]),
        ([("user", "Q<|im_end|>"), ("assistant", "A")], ["SPECIAL_TOKEN"]),
        ([("user", "Q"), ("assistant", "<|image_pad|>")], ["SPECIAL_TOKEN"]),
        ([("user", "Where is <ref-object>?"), ("assistant", "A")], ["GROUNDING_PLACEHOLDER"]),
        ([("user", "<video>Q"), ("assistant", "A")], ["VIDEO_ROW"]),
        ([("user", "<|endoftext|>"), ("assistant", "")], ["SPECIAL_TOKEN", "ANSWER_EMPTY"]),
    ],
)
def test_all_faults_of_a_conversation_are_found_at_once(pairs, codes):
    assert found(0, *pairs) == codes


def test_blanks_are_stripped_around_placeholders_only():
    [message] = with_trimmed_placeholders(turns(("user", " a \n<image>\n b <image> \n")))

    assert message.content == " a<image>b<image>"
