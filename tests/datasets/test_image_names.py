"""Which image a row means, however it names it: the right one, or none."""

import base64

import pytest
from dataset_lab import codes, folder_of, image_bytes, lines_of

from backend.datasets.image_cells import images_in_cell
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions
from backend.datasets.turns import RowFault


def shown(store, tmp_path, names, rows, **more):
    """Import rows; by question, the place among `names` of each image that a row shows."""
    files = {name: image_bytes(color=(number, 7, 7)) for number, name in enumerate(names)}
    report = store.import_dataset(folder_of(tmp_path / "up", files | {"rows.json": rows} | more), ImportOptions())
    by_content = {}
    for number in range(len(names)):
        (tmp_path / "one.png").write_bytes(image_bytes(color=(number, 7, 7)))
        by_content[number] = (tmp_path / "one.png").read_bytes()
    folder = store.folder("up")
    return report, {
        row.messages[0].content.replace("<image>", ""): [
            next(n for n, content in by_content.items() if (folder / path).read_bytes() == content)
            for path in row.images
        ]
        for row in store.rows("up")
    }


def rows_of(*images):
    return [{"image": image, "question": f"Q{n}", "answer": "A"} for n, image in enumerate(images)]


def test_another_folder_is_another_image(store, tmp_path):
    rows = rows_of("scene1/0.png", "scene1/1.png", "scene2/0.png", "scene2/7.png")

    report, found = shown(store, tmp_path, ["scene1/0.png", "scene1/1.png", "scene1/7.png"], rows)

    assert found == {"Q0": [0], "Q1": [1]}
    assert codes(report)["IMG_NOT_FOUND"] == 2


@pytest.mark.parametrize(
    "first", [["/d/day/0.png", "/d/night/0.png"], ["0.png", "night/0.png"], ["night/0.png", "0.png"]]
)
def test_two_paths_never_share_one_file(store, tmp_path, first):
    report, found = shown(
        store, tmp_path, ["0.png", "1.png"], [*rows_of(*first), {"image": "1.png", "question": "R", "answer": "A"}]
    )

    assert found.pop("R") == [1]
    assert set(found) <= {f"Q{n}" for n, name in enumerate(first) if name == "0.png"}
    assert codes(report).keys() & {"IMG_AMBIGUOUS", "IMG_NOT_FOUND"}


@pytest.mark.parametrize(
    "prefix",
    [
        "/home/u/set/",
        "D:\\work\\set\\",
        "file:///mnt/a%20b/",
        "https://host.example/bucket/",
        "s3://bucket/deep/",
        "../../x/",
    ],
)
def test_one_prefix_that_all_rows_drop_is_fine_and_told(store, tmp_path, prefix):
    report, found = shown(
        store, tmp_path, ["imgs/0.png", "imgs/1.png"], rows_of(f"{prefix}imgs/0.png", f"{prefix}imgs/1.png")
    )

    assert found == {"Q0": [0], "Q1": [1]}
    assert "2 image paths were matched by the ending" in report.manifest.notices[0]


@pytest.mark.parametrize(
    ("written", "name"),
    [("IMGS/A.PNG", "imgs/a.png"), ("imgs/a.png?v=2", "imgs/a.png"), ("imgs/a%20b.png", "imgs/a b.png"),
     ("imgs/a%20b.png", "imgs/a%20b.png"), ("/data/local-files/?d=imgs/a%20b.png", "imgs/a b.png"),
     ("/data/upload/3/0a1b2c3d-a.png", "imgs/a.png"), ("a", "imgs/a.png"), (139, "val/COCO_val2014_000000000139.jpg"),
     ("139", "train2017/000000000139.jpg"), ("./imgs//a.png", "imgs/a.png"), (" imgs/a.png ", "imgs/a.png")],
)  # fmt: skip
def test_names_that_other_programs_write(store, tmp_path, written, name):
    _, found = shown(store, tmp_path, ["other/b.png", name], rows_of("other/b.png", written))

    assert found["Q1"] == [1]


def test_a_stem_or_case_that_fits_two_files_is_refused(store, tmp_path):
    report, found = shown(
        store, tmp_path, ["x.png", "a/1.png", "b/1.jpg", "A.png", "a.PNG"], rows_of("x.png", "1", "a.Png")
    )

    assert found == {"Q0": [0]}
    assert codes(report)["IMG_AMBIGUOUS"] == 2


LISTS = [
    "['0.png', '1.png']", '["0.png", "1.png"]', "['0.png' '1.png']", "('0.png', '1.png')", "0.png,1.png", "0.png;1.png",
    "0.png|1.png", "0.png\n1.png", "0.png 1.png", "array(['0.png', '1.png'], dtype=object)", "0.png, 1.png",
    "<img>0.png</img><img>1.png</img>", "![](0.png) ![b](1.png)", '<img src="0.png"><img alt="" src=\'1.png\'>',
]  # fmt: skip


@pytest.mark.parametrize("written", LISTS)
def test_a_cell_may_list_images_in_any_way(store, tmp_path, written):
    _, found = shown(store, tmp_path, ["0.png", "1.png"], rows_of(written))

    assert found == {"Q0": [0, 1]}


def test_a_name_that_looks_like_a_list_is_one_name_where_it_was_uploaded(store, tmp_path):
    _, found = shown(store, tmp_path, ["a.png,b.png", "c d.png"], rows_of("a.png,b.png", "c d.png"))

    assert found == {"Q0": [0], "Q1": [1]}


@pytest.mark.parametrize("written", ["['a.png', b.png]", "[a.png, b.png", "{'path': x y}"])
def test_what_looks_like_a_list_and_is_none_is_refused(written):
    with pytest.raises(RowFault, match="looks like a list"):
        images_in_cell(written, "image", lambda _: False)


def encoded(number=1):
    return base64.b64encode(image_bytes(color=(number, 7, 7))).decode()


@pytest.mark.parametrize(
    "image",
    [f"data:image/png;base64,{encoded()}", encoded(), encoded().rstrip("="), {"bytes": encoded()},
     {"url": f"data:image/png;base64,{encoded()}"}, [f"DATA:image/png;charset=utf-8;base64,{encoded()}"]],
)  # fmt: skip
def test_an_image_may_stand_in_the_row(store, tmp_path, image):
    _, found = shown(store, tmp_path, ["0.png", "1.png"], rows_of("0.png", image))

    assert found == {"Q0": [0], "Q1": [1]}


def test_openai_parts_with_images_in_them_are_read(store, tmp_path):
    parts = [
        {"type": "text", "text": "What?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded()}"}},
    ]
    rows = [{"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "Red"}]}]
    store.import_dataset(folder_of(tmp_path / "up", {"rows.jsonl": lines_of(rows)}), ImportOptions())

    [row] = store.rows("up")
    assert (len(row.images), row.messages[0].content) == (1, "What?<image>")


@pytest.mark.parametrize(
    "image",
    [f"data:image/png;base64,{encoded()[:-9]}!!", f"data:video/mp4;base64,{encoded()}", "data:text/plain,hello"],
)
def test_what_is_no_image_in_base64_is_refused_without_showing_it_all(store, tmp_path, image):
    with pytest.raises(UploadRefused) as caught:
        shown(store, tmp_path, [], rows_of(image))

    [problem] = caught.value.problems
    assert problem.code == "IMG_EMBEDDED"
    assert len(problem.message) < 200


def test_what_lies_behind_a_link_is_told_so(store, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/0.png").write_bytes(image_bytes())
    folder = folder_of(tmp_path / "up", {"rows.json": rows_of("images/0.png")})
    (folder / "images").symlink_to(tmp_path / "disk")

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(folder, ImportOptions())
    assert [problem.code for problem in caught.value.problems] == ["LINK_REFUSED"]
    assert "cp -rL" in caught.value.problems[0].hint


def test_a_folder_of_links_alone_is_told_so(store, tmp_path):
    (tmp_path / "blob").write_text("[]")
    folder = folder_of(tmp_path / "up", {"a.png": image_bytes()})
    (folder / "rows.json").symlink_to(tmp_path / "blob")

    with pytest.raises(UploadRefused, match=r"1 link out of it, e\.g\. `rows\.json`"):
        store.import_dataset(folder, ImportOptions())
