"""A model's own chat template is carried along and never rendered, so what it says cannot hold anything up."""

import ast
import shutil

import pytest

from backend.conversation import Message
from backend.settings import ROOT

pytestmark = pytest.mark.torch
FOR_EVER = "{% for n in range(99999) %}" * 3 + "{{ n }}" + "{% endfor %}" * 3
TEMPLATES = {
    "for ever": FOR_EVER,
    "a huge range": "{{ range(10**9) | list }}",
    "refuses": "{{ raise_exception('rendered') }}",
}
TURNS = (Message(role="user", content="<image>What?"), Message(role="assistant", content="A circle."))


@pytest.mark.timeout(180)  # it does not come to an end by itself
@pytest.mark.parametrize("name", TEMPLATES)
def test_c10_a_template_that_loops_for_ever_holds_up_neither_training_nor_chat(name, untrained, images, tmp_path):
    from backend.programs.model.encoder import Encoder
    from backend.row_length import RowMeter

    folder = tmp_path / "theirs"
    shutil.copytree(untrained, folder)
    (folder / "chat_template.jinja").write_text(TEMPLATES[name])

    encoder = Encoder(folder, 4 * 784, 64 * 784)
    learned = encoder.encode(TURNS, images[:1])
    asked = encoder.encode(TURNS[:1], images[:1], for_answer=True)
    encoder.processor.save_pretrained(tmp_path / "kept")
    RowMeter(folder)

    assert TEMPLATES[name] in (tmp_path / "kept" / "chat_template.jinja").read_text()  # it was there to be rendered
    plain = Encoder(untrained, 4 * 784, 64 * 784)
    assert learned.input_ids.equal(plain.encode(TURNS, images[:1]).input_ids)
    assert asked.input_ids.equal(plain.encode(TURNS[:1], images[:1], for_answer=True).input_ids)


def test_c10_no_code_of_ours_renders_a_template():
    paths = [path for folder in ("backend", "launcher", "studio") for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 200
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            assert called not in ("apply_chat_template", "render_jinja_template", "from_string"), path
            assert not (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jinja2")), path
