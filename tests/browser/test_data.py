"""The Data tab on the real page: uploads of every kind, what their report says, rows, training, deleting."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from browser_lab import Served, Watched, open_tab
from PIL import Image
from playwright.sync_api import Page, expect

from backend.datasets.editing import Edits

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{x}} </script><script>alert(3)</script> javascript:alert(4)"
SLOW_MS = 60_000  # an import starts a process that decodes images


def image(colour: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (96, 64), colour).save(sink, "PNG")
    return sink.getvalue()


def conversation(image: str, question: str, answer: str) -> dict[str, object]:
    turns = [{"from": "human", "value": f"<image>\n{question}"}, {"from": "gpt", "value": answer}]
    return {"image": image, "conversations": turns}


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return path


def receipts(path: Path, rows: int = 20) -> Path:
    """A zip of good rows, with one answer missing and one image cut off."""
    colours = ["red", "green", "blue", "orange", "purple"]
    images = {f"images/{n}.png": image(colours[n % 5]) + bytes([n]) for n in range(rows)}
    listed = [conversation(name, f"Which colour has receipt {n}?", colours[n % 5]) for n, name in enumerate(images)]
    listed[3]["conversations"] = listed[3]["conversations"][:1]
    images["images/7.png"] = images["images/7.png"][:60]
    return zip_of(path, {"data.json": json.dumps(listed).encode(), **images})


def upload(page: Page, *paths: Path) -> None:
    page.locator("#upload-files input[type=file]").set_input_files(paths)


def choose(page: Page, name: str) -> None:
    page.locator(f"#dataset-list [data-name='{name}']").click()


def test_a_zip_becomes_a_dataset_and_the_report_says_what_was_left_out(page: Page, served: Served, tmp_path: Path):
    upload(page, receipts(tmp_path / "receipts.zip"))
    expect(page.locator("#upload-preview")).to_contain_text("Recognised: conversations as LLaVA and Qwen write them")
    expect(page.locator("#dataset-name input, #dataset-name textarea")).to_have_value("receipts")
    expect(page.locator("#role-image")).to_be_hidden()

    page.get_by_role("button", name="Import dataset").click()
    report = page.locator("#import-report")
    expect(report).to_contain_text("“receipts” is ready", timeout=SLOW_MS)

    expect(report).to_contain_text("18 rows kept")
    expect(report).to_contain_text("2 rows left out")
    expect(report.locator("details", has_text="The answer is missing")).to_contain_text(
        "Add an answer, or delete the row"
    )
    report.locator("details", has_text="An image is cut off").locator("summary").click()
    expect(report.locator("details[open] li")).to_contain_text("images/7.png")
    with page.expect_download() as download:
        report.get_by_role("link", name="Download all problems").click()
    table = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert {row["code"] for row in table} >= {"ANSWER_MISSING", "IMG_TRUNCATED"}

    expect(page.locator("#dataset-list [aria-pressed=true]")).to_contain_text("receipts")
    expect(page.locator("#dataset-tiles")).to_contain_text("18")
    expect(page.locator("#upload-files")).to_contain_text("Click to Upload")  # ready for the next one
    assert served.datasets.get("receipts").statistics.rows == 18


def test_rows_are_paged_searched_and_filtered(page: Page, served: Served):
    choose(page, "shapes")
    rows = page.locator("#dataset-rows")
    expect(rows.locator("article")).to_have_count(8)
    expect(rows.locator(".pager span")).to_have_text("1 to 8 of 24")
    expect(rows.locator("article").first.locator(".bubble.user")).to_contain_text(re.compile(r"\w"))
    loaded = "[...document.querySelectorAll('#dataset-rows img')].slice(0, 2).every((image) => image.naturalWidth > 0)"
    page.wait_for_function(loaded)

    rows.get_by_role("button", name="Next").click()
    expect(rows.locator(".pager span")).to_have_text("9 to 16 of 24")
    rows.get_by_role("button", name="Validation").click()
    held_out = served.datasets.get("shapes").statistics.validation_rows
    assert 0 < held_out <= 8
    expect(rows.locator("article .bdg")).to_have_text(["Validation"] * held_out)
    rows.get_by_role("button", name="All").click()
    rows.get_by_role("searchbox").fill("no row says this")
    expect(rows).to_contain_text("No row matches.")
    rows.get_by_role("searchbox").fill("SHAPE")
    expect(rows.locator("article").first).to_contain_text(re.compile("shape", re.IGNORECASE))


def test_columns_are_mapped_with_a_live_preview(page: Page, served: Served, tmp_path: Path):
    table = "foto,ask,say\nred.png,What colour?,red\nblue.png,And this?,blue\n"
    (tmp_path / "colours.csv").write_text(table)
    for colour in ("red", "blue"):
        (tmp_path / f"{colour}.png").write_bytes(image(colour))

    upload(page, tmp_path / "colours.csv", tmp_path / "red.png", tmp_path / "blue.png")
    preview = page.locator("#upload-preview")
    expect(preview).to_contain_text("Which column is which?")
    expect(preview.locator("td").first).to_have_text("red.png")
    expect(page.locator("#part-images")).to_contain_text("foto")  # its cells name the uploaded images
    for part, column in (("question", "say"), ("answer", "say"), ("question", "ask")):
        page.locator(f"#part-{part} input").click()
        page.locator(f"#part-{part}").get_by_role("option", name=column, exact=True).click()
    expect(preview.locator(".bubble.assistant").first).to_contain_text("red")
    shown = preview.locator(".bubble.user img").first
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    expect(preview.locator(".bubble.user").first).to_contain_text("What colour?")
    page.get_by_role("button", name="Import dataset").click()

    expect(page.locator("#import-report")).to_contain_text("“colours” is ready", timeout=SLOW_MS)
    assert {row.messages[1].content for row in served.datasets.rows("colours")} == {"red", "blue"}


def test_what_is_no_dataset_is_refused_in_the_page_language(open_page: Callable[..., Watched], tmp_path: Path):
    page = open_page("/zh/").page
    zip_of(tmp_path / "only.zip", {"images/1.png": image("red")})

    upload(page, tmp_path / "only.zip")

    expect(page.locator("#import-report")).to_contain_text("没有导入任何内容")
    expect(page.locator("#import-report")).to_contain_text("每行一个问题和回答")
    expect(page.locator("#import")).to_be_hidden()


def test_w10_hostile_text_in_rows_and_names_stays_text(page: Page, tmp_path: Path):
    rows = [conversation("a.png", HOSTILE, HOSTILE), conversation("a.png", "And?", HOSTILE), {"<b>": HOSTILE}]
    files = {"<img src=x onerror=alert(5)>.json": json.dumps(rows).encode(), "a.png": image("red")}

    upload(page, zip_of(tmp_path / "${alert(6)}.zip", files))
    expect(page.locator("#upload-preview .bubble.assistant").first).to_contain_text(HOSTILE)
    page.locator("#dataset-name").get_by_role("textbox").fill("hostile")
    page.get_by_role("button", name="Import dataset").click()
    expect(page.locator("#import-report")).to_contain_text("“hostile” is ready", timeout=SLOW_MS)

    expect(page.locator("#dataset-rows .bubble.assistant").first).to_contain_text(HOSTILE)
    assert page.locator(".island :is([onerror], script)").count() == 0  # and no box popped up: the fixture says so


@pytest.mark.long
def test_train_on_this_opens_train_with_the_dataset_chosen(page: Page):
    choose(page, "shapes")
    page.get_by_role("button", name="Train on this").click()

    expect(page.get_by_role("tab", name="Train")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#datasets input[data-name=shapes]")).to_be_checked()
    expect(page.locator("#datasets input[data-name=paint-codes]")).not_to_be_checked()


@pytest.mark.long
def test_deleting_asks_first_and_names_what_is_lost(page: Page, served: Served, tmp_path: Path):
    upload(page, receipts(tmp_path / "short-lived.zip", rows=8))
    page.get_by_role("button", name="Import dataset").click()
    expect(page.locator("#import-report")).to_contain_text("“short-lived” is ready", timeout=SLOW_MS)

    rows = page.locator("#dataset-rows")
    choose(page, "shapes")
    expect(rows.locator(".pager span")).to_have_text("1 to 8 of 24")
    choose(page, "short-lived")
    expect(rows.locator("article")).to_have_count(6)
    rows.get_by_role("searchbox").fill("receipt 1")
    expect(rows.locator("article")).to_have_count(1)
    (row,) = [each.id for each in served.datasets.rows("short-lived") if "receipt 1?" in each.messages[0].content]
    served.datasets.apply_edits("short-lived", Edits({row: "mended elsewhere"}))
    open_tab(page, "train")
    open_tab(page, "data")
    expect(rows.locator(".bubble.assistant")).to_have_text(re.compile("mended elsewhere"))
    expect(rows.get_by_role("searchbox")).to_have_value("receipt 1")

    page.get_by_role("button", name="Delete dataset").click()
    expect(page.locator("#dataset-question textarea")).to_have_value(re.compile("“short-lived” with its 6 rows"))
    page.get_by_role("button", name="Keep it").last.click()
    expect(page.locator("#dataset-question")).to_be_hidden()
    assert "short-lived" in served.datasets.names()

    page.get_by_role("button", name="Delete dataset").click()
    page.locator("#dataset-delete-yes").click()
    expect(page.locator("#dataset-list [data-name=short-lived]")).to_have_count(0)
    assert "short-lived" not in served.datasets.names()


def test_a_list_that_comes_late_does_not_undo_a_choice(page: Page):
    page.wait_for_function("() => window.studio?.datasetList && window.studio.redraw")
    seen = page.evaluate("""() => {
      const host = document.createElement("div"), card = (name) => ({ name, summary: "", covers: [] });
      const props = { words: {}, value: {} }, choices = [];
      const watch = (_, call) => { changed = call; };
      let changed;
      window.studio.datasetList(host, props, watch, { input: () => choices.push(props.value.chosen) });
      const come = (names, chosen, choice, is_new = false) => {
        props.value = { datasets: names.map(card), chosen, choice, is_new };
        changed();
        return [props.value.chosen, host.querySelector("[aria-pressed=true]")?.dataset.name];
      };
      const first = come(["old"], "old", 0), pending = props.value.choice;
      const imported = come(["new", "old"], "new", 0, true);
      const opened = come(["new", "old"], "old", 0); // what was requested before the first choice
      const late = come(["new", "old"], "old", pending);
      host.querySelector("[data-name=old]").click();
      const clicked = come(["new", "old"], "new", pending), now = props.value.choice;
      const deleted = come(["new"], "new", now);
      return { first, imported, opened, late, clicked, deleted, choices };
    }""")

    assert seen == {
        "first": ["old"] * 2, "imported": ["new"] * 2, "opened": ["new"] * 2, "late": ["new"] * 2,
        "clicked": ["old"] * 2, "deleted": ["new"] * 2, "choices": ["new", "new", "old", "old"],
    }  # fmt: skip


def test_files_of_validation_and_test_rows_are_used(page: Page, served: Served, tmp_path: Path):
    for name, colours in (("train", ("red", "blue", "green")), ("val", ("black", "white")), ("test", ("yellow",))):
        rows = [conversation(f"{colour}.png", "Which?", colour) for colour in colours]
        zip_of(tmp_path / f"{name}-part.zip", {
            "data.json": json.dumps(rows).encode(), **{f"{colour}.png": image(colour) for colour in colours},
        })  # fmt: skip

    upload(page, tmp_path / "train-part.zip")
    page.get_by_role("button", name="I have separate files").click()
    for part, file in (("validation", "val-part"), ("test", "test-part")):
        page.locator(f"#{part}-file input[type=file]").set_input_files(tmp_path / f"{file}.zip")
        expect(page.locator(f"#{part}-file")).to_contain_text(file)
    page.get_by_role("button", name="Import dataset").click()

    expect(page.locator("#import-report")).to_contain_text("3 to train · 2 validation · 1 test", timeout=SLOW_MS)
    assert served.datasets.get("train-part").split.kind == "given"
    rows = page.locator("#dataset-rows")
    rows.get_by_role("button", name="Test").click()
    expect(rows.locator("article .bdg")).to_have_text(["Test"])


def test_an_empty_workspace_says_what_to_do_next(open_page: Callable[..., Watched], served: Served):
    hidden = served.workspace.data.with_name("data-elsewhere")
    served.workspace.data.rename(hidden)
    try:
        empty = open_page().page
        expect(empty.locator("#dataset-list")).to_contain_text("No dataset yet")
        expect(empty.locator("#dataset-list").get_by_role("button", name="Add the demo datasets")).to_be_visible()
        expect(empty.locator("#dataset-tiles")).to_contain_text("Nothing chosen")
        open_tab(empty, "train")
        expect(empty.locator("#datasets")).to_contain_text("No dataset yet")
    finally:
        hidden.rename(served.workspace.data)
