"""T1 to T3: what is learned, how images become tokens, and that chat sees what training saw."""

import pytest

from backend.conversation import Message, render
from backend.errors import DatasetError

pytestmark = pytest.mark.torch


def conversation(*turns: str, system: str = "") -> tuple[Message, ...]:
    roles = ["user", "assistant"]
    messages = [Message(role=roles[place % 2], content=text) for place, text in enumerate(turns)]
    return tuple([Message(role="system", content=system)] * bool(system) + messages)


CASES = {
    "one turn": conversation("<image>What is it?", "A circle."),
    "three turns": conversation("<image>What?", "A circle.", "And now?", "Still one.", "Sure?", "Yes."),
    "system": conversation("<image>What?", "A circle.", system="Answer in few words."),
    "a user who says assistant": conversation("<image>assistant\nA square.", "No.", "assistant", "<b>No</b>"),
    "chinese": conversation("<image>图中有几个图形？", "三个。"),
    "line ends": conversation("<image>\n\nWhat?\n", " \nA circle.\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_t1_learned_tokens_are_the_answers_and_their_end(name, encoder, images):
    messages = CASES[name]

    sample = encoder.encode(messages, images[:1])

    learned = encoder.tokenizer.decode(sample.labels[sample.labels != -100].tolist())
    assert learned == "".join(f"{turn.content}<|im_end|>\n" for turn in messages if turn.role == "assistant")


def test_t1_no_control_token_of_a_image_is_learned(encoder, images):
    sample = encoder.encode(conversation("<image><image>Which?", "The first."), images[:2])

    names = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    control = {encoder.tokenizer.convert_tokens_to_ids(name) for name in names}
    assert not control & set(sample.labels.tolist())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_t2_each_image_gets_as_many_tokens_as_it_has_cells(count, encoder, images):
    sample = encoder.encode(conversation("<image>" * count + "What?", "This."), images[:count])

    assert int((sample.input_ids == encoder.image_id).sum()) == int(sample.grids.prod(-1).sum()) // 4
    assert len(sample.grids) == count


@pytest.mark.parametrize(("places", "count"), [(0, 1), (2, 1), (1, 0)])
def test_t2_places_and_images_must_agree(places, count, encoder, images):
    with pytest.raises(DatasetError, match=f"shows {count} images but its text has {places}") as caught:
        encoder.encode(conversation("<image>" * places + "What?", "This."), images[:count], name="row 17")
    assert "row 17" in caught.value.message


def test_t3_the_rendered_text_is_the_chat_templates(encoder):
    for messages in CASES.values():
        parts = [
            {
                "role": turn.role,
                "content": turn.content.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>"),
            }
            for turn in messages
        ]
        expected = encoder.processor.apply_chat_template(parts)

        assert "".join(segment.text for segment in render(messages)) == expected


def test_t3_chat_continues_exactly_what_training_saw(encoder, images):
    messages = conversation("<image>What is it?", "A circle.")
    trained = encoder.encode(messages, images[:1])

    asked = encoder.encode(messages[:1], images[:1], for_answer=True)

    assert asked.input_ids.tolist() == trained.input_ids[: asked.tokens].tolist()
    assert int((trained.labels != -100).nonzero()[0]) == asked.tokens
    assert asked.patches.equal(trained.patches)


def test_t3_the_released_processor_makes_the_same_tokens_and_patches(encoder, images):
    from PIL import Image
    from qwen_vl_utils import process_vision_info

    turn = {"type": "image", "image": Image.open(images[2]), "min_pixels": 4 * 784, "max_pixels": 64 * 784}
    messages = [{"role": "user", "content": [turn, {"type": "text", "text": "What?"}]}]
    text = encoder.processor.apply_chat_template(messages, add_generation_prompt=True)
    sized, _ = process_vision_info(messages)
    expected = encoder.processor(text=[text], images=sized, do_resize=False, return_tensors="pt")

    sample = encoder.encode(conversation("<image>What?")[:1], images[2:], for_answer=True)

    assert sample.input_ids.tolist() == expected["input_ids"][0].tolist()
    assert sample.patches.equal(expected["pixel_values"])


def test_rows_are_counted_as_long_as_they_are_encoded(untrained, encoder, images):
    from backend.conversation import Row
    from backend.row_length import RowMeter

    messages = conversation("<image>What is it?<image>", "A circle.")
    row = Row(id="1", split="train", images=tuple(path.name for path in images[:2]), messages=messages)

    size = RowMeter(untrained).size(row, images[0].parent)

    expected = encoder.encode(messages, images[:2]).tokens
    assert size.tokens(encoder.min_pixels, encoder.max_pixels) == expected
