"""An import says what its answers count coordinates in, and which knob a run needs."""

from dataset_lab import folder_of, image_bytes

from backend.datasets.store import ImportOptions


def notices(store, tmp_path, answers, size=(1000, 700)):
    files = {f"{n}.png": image_bytes(size=size, color=(n, 1, 1)) for n in range(len(answers))}
    rows = [{"image": f"{n}.png", "question": f"Where? {n}", "answer": answer} for n, answer in enumerate(answers)]
    report = store.import_dataset(folder_of(tmp_path / "up", files | {"rows.json": rows}), ImportOptions())
    return " / ".join(report.manifest.notices)


def test_pixels_fractions_and_what_is_neither_are_counted_with_examples(store, tmp_path):
    answers = ["[10, 20, 300, 400]", "[1, 2, 30, 40]", "[0.1, 0.2, 0.3, 0.4]", "[30, 20, 10, 5000]"]

    told = notices(store, tmp_path, answers)

    assert "2 answers with coordinates in pixels of the stored image, e.g. `[10, 20, 300, 400]`" in told
    assert "1 answer with coordinates as fractions from 0 to 1, which are never scaled" in told
    assert "1 answer with coordinates that are neither pixels" in told
    assert (
        "2 images with coordinates in pixels will be resized for the model: choose `data.boxes=stored_pixels`" in told
    )


def test_images_that_stay_as_they_are_need_no_knob(store, tmp_path):
    assert "data.boxes" not in notices(store, tmp_path, ["[1, 2, 30, 40]"] * 3, size=(280, 280))


def test_a_few_lists_among_many_answers_are_told_as_nothing(store, tmp_path):
    assert "coordinates" not in notices(store, tmp_path, ["red"] * 20 + ["[1, 2, 3, 4]"])
