"""Every spelling of a part that public sets use, as files, folders and values; and names that only look like one."""

import pytest

from backend.datasets.split_names import file_splits, is_together, split_of_folder, split_of_value

SPELLINGS = {
    "train": """train Train TRAIN training training_set trainset trainSet train_data
    train2017 train-00000-of-00004 trn train-00000-of-00001-a09b74b3ef9c3b56
    trainval train_val train+val trainval2014 restval minitrain Split.TRAIN
    train1 1.Training 训练 训练集 訓練 发票训练集 学習用データ 학습 훈련용 entraînement apprentissage
    entrenamiento обучение обучающая_выборка тренировочная""",
    "validation": """val val2017 valid validation validate dev devset dev_set minival
    valminusminival2014 val_minus_minival val_unseen val_seen eval evaluation
    holdout heldout held-out held_out HeldOut validation-00000-of-00001
    2.Validation 验证 验证集 驗證集 開發集 検証用 検証データ 검증 Validierung validación
    валидационная coco_val""",
    "test": """test test1 testA testB testa testb test-dev test_dev testdev test_std
    test-std2015 testmini minitest dev_test test_challenge test_hard testset
    TestData test-00003-of-00010 val_test 测试 测试集 測試資料 テスト テストデータ 테스트 평가용
    評価データ prueba Prüfung тестовая""",
}
NO_PART = """llava_v1_5_mix665k contest latest testimony attestation value devices
    validity valence protest tester trainer evaluator developer invalid gold
    unknown fold3 0 default train_test_split train_val_test restore testament"""


@pytest.mark.parametrize(
    ("part", "text"), [(part, text) for part, texts in SPELLINGS.items() for text in texts.split()]
)
def test_a_spelling_names_its_part(part, text):
    assert split_of_value(text) == part


@pytest.mark.parametrize("text", NO_PART.split())
def test_other_words_name_no_part(text):
    assert split_of_value(text) is None


def test_a_name_with_words_of_its_own_is_not_a_part_by_itself():
    assert split_of_folder("val2017") == "validation"
    assert split_of_folder("test_strips") is None


def test_values_that_give_validation_rows_for_training_are_known():
    assert [is_together(text) for text in ("trainval", "restval", "train+val", "train", "val")] == [True] * 3 + [
        False
    ] * 2


PUBLIC = {
    "COCO": ("annotations/instances_train2017.json", "annotations/instances_val2017.json", ""),
    "COCO, by folder": ("train2017/captions.json", "val2017/captions.json", ""),
    "VQAv2": (
        "v2_OpenEnded_mscoco_train2014_questions.json",
        "v2_OpenEnded_mscoco_val2014_questions.json",
        "v2_OpenEnded_mscoco_test-dev2015_questions.json",
    ),
    "OK-VQA": ("mscoco_train2014_annotations.json", "mscoco_val2014_annotations.json", ""),
    "A-OKVQA": ("aokvqa_v1p0_train.json", "aokvqa_v1p0_val.json", "aokvqa_v1p0_test.json"),
    "ChartQA": ("ChartQA Dataset/train/train_human.json", "ChartQA Dataset/val/val_human.json",
                "ChartQA Dataset/test/test_augmented.json"),
    "DocVQA": ("train_v1.0_withQT.json", "val_v1.0_withQT.json", "test_v1.0.json"),
    "InfographicVQA": ("infographicsVQA_train_v1.0.json", "infographicsVQA_val_v1.0_withQT.json",
                       "infographicsVQA_test_v1.0.json"),
    "TextVQA": ("TextVQA_0.5.1_train.json", "TextVQA_0.5.1_val.json", "TextVQA_0.5.1_test.json"),
    "GQA": ("train_balanced_questions.json", "val_balanced_questions.json", "testdev_balanced_questions.json"),
    "ST-VQA": ("train_task_3.json", "", "test_task_3.json"),
    "NLVR2": ("nlvr2/data/train.json", "nlvr2/data/dev.json", "nlvr2/data/test1.json"),
    "parquet shards": ("data/train-00000-of-00004-0123456789abcdef.parquet", "data/validation-00000-of-00001.parquet",
                       "data/test-00000-of-00001.parquet"),
    "MathVista": ("", "data/val-00000-of-00001.parquet", "data/testmini-00000-of-00001-725687bf7a18d64b.parquet"),
    "M3IT": ("data/vqa/okvqa/train.jsonl", "data/vqa/okvqa/val.jsonl", "data/vqa/okvqa/test.jsonl"),
    "AI Hub": ("1.Training/라벨링데이터/rows.json", "2.Validation/라벨링데이터/rows.json", ""),
    "FUNSD": ("dataset/training_data/annotations/0.json", "", "dataset/testing_data/annotations/0.json"),
    "Roboflow": ("train/_annotations.coco.json", "valid/_annotations.coco.json", "test/_annotations.coco.json"),
    "Spider, R2R": ("R2R_train.json", "R2R_val_unseen.json", "R2R_test.json"),
    "Chinese": ("发票_训练集.jsonl", "发票_验证集.jsonl", "发票_测试集.jsonl"),
    "a base and its part": ("", "strips_val.json", "test_strips.json", "strips.json"),
    "words in other places": ("questions_train.json", "val_questions.json", "test.json"),
}  # fmt: skip


@pytest.mark.parametrize("layout", PUBLIC)
def test_files_of_a_public_set_are_in_their_parts(layout):
    train, validation, test, *others = PUBLIC[layout]
    wanted = {train: "train", validation: "validation", test: "test"}
    wanted.pop("", None)

    found = file_splits([*wanted, *others])

    assert (found.splits, found.notices) == (wanted, ())


def test_the_nearest_folder_counts_and_the_own_name_before_it():
    names = ["val/annotations/train.json", "train/extra/rows.json", "val/extra/rows.json", "train/val/rows.json"]

    assert file_splits(names).splits == dict(zip(names, ["train", "train", "validation", "validation"], strict=True))


def test_one_name_in_every_folder_tells_none_apart():
    names = ["train/test_strips.json", "val/test_strips.json", "train/test.json", "val/test.json"]

    assert file_splits(names[:2]).splits == {names[0]: "train", names[1]: "validation"}
    assert file_splits(names[2:]).splits == {names[2]: "train", names[3]: "validation"}


@pytest.mark.parametrize(
    "names", [("data.json", "test_strips.json"), ("test/rows.json",), ("a.json", "train_test_split.json")]
)
def test_a_name_in_doubt_is_no_part_and_is_told(names):
    found = file_splits(names)

    assert found.splits == {}
    assert len(found.notices) == 1
    assert f"`{names[-1]}` may mean a validation or test part" in found.notices[0]


@pytest.mark.parametrize(
    "name", ["training_of_dogs.json", "llava_v1_5_mix665k.json", "contest.json", "latest/rows.json"]
)
def test_names_that_say_nothing_are_not_told(name):
    assert file_splits([name, "data.json"]) == ({}, ())


def test_a_counterpart_makes_a_part_of_a_name_with_words_of_its_own():
    for other in ("train_strips.json", "strips.json", "train.json", "train/rows.json", "train_small.json"):
        assert file_splits([other, "test_strips.json"]).splits["test_strips.json"] == "test", other


def test_valid_beside_invalid_is_no_part():
    assert file_splits(["valid.json", "invalid.json"]) == ({}, ())
    assert file_splits(["valid.json", "rows.json"]).splits == {"valid.json": "validation"}


def test_training_with_validation_rows_is_for_training_and_told():
    found = file_splits(["trainval.json", "test.json"])

    assert found.splits == {"trainval.json": "train", "test.json": "test"}
    assert found.notices == (
        "`trainval.json` holds training and validation rows together; all of them are for training",
    )
