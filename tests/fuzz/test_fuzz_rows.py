"""Rows of any shape, in any file and encoding, through the real reader."""

import csv
import io
import json
from typing import Any

from fuzzing import damaged, damages, fuzz, said_plainly, texts, values
from hypothesis import event, given
from hypothesis import strategies as st
from importing import imported, leavings

from backend.datasets.records import ColumnMapping
from backend.datasets.store import DatasetStore, ImportOptions

KEYS = (
    "conversations", "messages", "image", "images", "from", "value", "role", "content", "type", "text", "question",
    "answer", "prompt", "response", "instruction", "input", "output", "id", "split", "system", "solution", "history",
    "image_url", "url", "query", "references", "answers", "path", "bytes",
)  # fmt: skip
WORDS = (
    "human",
    "gpt",
    "user",
    "assistant",
    "system",
    "image",
    "text",
    "train",
    "validation",
    "a.png",
    "<image>\nWhat?",
)
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16", "gb18030", "latin-1", "utf-32")


def near() -> st.SearchStrategy[Any]:
    """Values as they stand in rows, or nearly."""
    leaves = st.one_of(st.sampled_from(WORDS), texts(), st.none(), st.integers(-9, 9), st.floats())
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
            st.fixed_dictionaries({"from": st.sampled_from(["human", "gpt", "system"]), "value": inner}),
            st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": inner}),
        ),
        max_leaves=12,
    )


def sound() -> st.SearchStrategy[Any]:
    """A row that is as it should be, or has one odd field more."""
    said = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
    pair = st.tuples(said, said)
    talk = pair.map(
        lambda two: {"conversations": [{"from": "human", "value": two[0]}, {"from": "gpt", "value": two[1]}]}
    )
    chat = pair.map(
        lambda two: {"messages": [{"role": "user", "content": two[0]}, {"role": "assistant", "content": two[1]}]}
    )
    odd = st.dictionaries(st.sampled_from(("id", "split", "note", "references", "source")), near(), max_size=1)
    return st.tuples(st.one_of(talk, chat), odd).map(lambda two: two[0] | two[1])


def rows() -> st.SearchStrategy[Any]:
    turns = st.lists(st.fixed_dictionaries({"from": st.sampled_from(["human", "gpt"]), "value": near()}), max_size=4)
    talk = st.fixed_dictionaries({"conversations": turns}, optional={"image": near(), "id": near(), "split": near()})
    asked = st.fixed_dictionaries({"question": near(), "answer": near()}, optional={"image": near(), "system": near()})
    return st.one_of(talk, asked, st.dictionaries(st.sampled_from(KEYS), near(), max_size=6), values())


def encoded(text: str, encoding: str) -> bytes:
    return text.encode(encoding, "replace")


@fuzz(35)
@given(
    st.lists(st.one_of(sound(), sound(), rows()), max_size=6),
    st.booleans(),
    st.booleans(),
    st.sampled_from(ENCODINGS),
    damages(),
)
def test_u12_u13_any_json_is_read_or_refused(workspace, found, as_lines, is_escaped, encoding, done):
    text = "".join(json.dumps(row, ensure_ascii=is_escaped) + "\n" for row in found) if as_lines else json.dumps(
        found[0] if len(found) == 1 else found, ensure_ascii=is_escaped
    )  # fmt: skip
    content = damaged(encoded(text, encoding), done)

    kept = imported(workspace, "rows.jsonl" if as_lines else "rows.json", content)

    event("imported" if kept else "refused")
    assert leavings(workspace.root) == set()


@fuzz(25)
@given(
    st.lists(st.lists(st.one_of(st.sampled_from(WORDS), texts(20, surrogates=False)), max_size=4), max_size=5),
    st.sampled_from([",", "\t", ";", "|"]), st.sampled_from(ENCODINGS), damages(),
)  # fmt: skip
def test_u12_u13_any_table_is_read_or_refused(workspace, cells, delimiter, encoding, done):
    sink = io.StringIO()
    writer = csv.writer(sink, delimiter=delimiter, escapechar="\\")
    writer.writerows([["question", "answer"], *cells])
    content = damaged(encoded(sink.getvalue(), encoding), done)

    kept = imported(workspace, "rows.tsv" if delimiter == "\t" else "rows.csv", content)

    event("imported" if kept else "refused")
    assert leavings(workspace.root) == set()


@fuzz(25)
@given(st.lists(rows(), min_size=1, max_size=3), texts(10), texts(10))
def test_u12_a_look_at_any_upload_says_what_it_is_or_why_not(workspace, found, one, other):
    source = workspace.root.parent / "rows.json"
    source.write_bytes(json.dumps(found).encode())
    store = DatasetStore(workspace)

    with said_plainly():
        look = store.inspect(source)
        assert look.rows >= len(look.preview)
        store.inspect(source, ImportOptions(mapping=ColumnMapping(question=one, answer=other)))
    assert list(workspace.staging.iterdir()) == []
