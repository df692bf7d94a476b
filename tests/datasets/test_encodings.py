"""Texts in another encoding than UTF-8 come out as they were written, or are refused; never as other characters."""

import json
import zipfile

import pytest
from dataset_lab import folder_of, image_bytes

from backend.datasets.encodings import decided, encoding_of, likeliest_of
from backend.datasets.problems import UploadRefused
from backend.datasets.store import ImportOptions

SENTENCES = {
    "big5": [
        "發票的總金額是多少？",
        "新臺幣三千五百元",
        "請描述這個標誌。",
        "禁止停車",
        "左邊的建築物有幾層樓？",
        "大約十二層",
    ],
    "gb18030": [
        "发票的总金额是多少？",
        "三千五百元整",
        "请描述这个标志。",
        "禁止停车",
        "左边的建筑物有几层？",
        "大约十二层",
    ],
    "cp949": [
        "영수증의 총액은 얼마입니까?",
        "삼천오백 원",
        "이 표지판을 설명하세요.",
        "주차 금지",
        "왼쪽 건물은 몇 층입니까?",
        "약 십이 층",
    ],
    "cp932": [
        "領収書の合計金額はいくらですか？",
        "三千五百円です",
        "この標識を説明してください。",
        "駐車禁止",
        "左の建物は何階建てですか？",
        "レシートの日付",
    ],
    "euc_jp": [
        "領収書の合計金額はいくらですか？",
        "三千五百円です",
        "この標識を説明してください。",
        "駐車禁止",
        "左の建物は何階建てですか？",
        "レシートの日付",
    ],
    "cp1252": [
        "Qual é o valor total da fatura?",
        "Três mil e quinhentos",
        "Beskriv skylten på vägen",
        "Förbjudet att köra här",
        "Größe und Länge",
        "Où êtes-vous né ?",
    ],
    "cp1250": [
        "Jaká je celková částka faktury?",
        "Tři tisíce pět set",
        "Opisz ten znak drogowy, proszę",
        "Zakaz postoju na całej długości",
        "Hány emelet van? Körülbelül tizenkettő, főút",
        "Želim češnje",
    ],
    "cp1251": [
        "Яка загальна сума рахунку?",
        "Три тисячі п'ятсот",
        "Опишете този знак",
        "Паркирането е забранено",
        "Опиши этот знак",
        "Стоянка запрещена",
    ],
    "koi8_r": [
        "Какова общая сумма счёта?",
        "Три тысячи пятьсот",
        "Опиши этот знак",
        "Стоянка запрещена",
        "Сколько этажей слева?",
        "Около двенадцати",
    ],
    "cp1253": [
        "Ποιο είναι το συνολικό ποσό;",
        "Τρεις χιλιάδες πεντακόσια",
        "Περιγράψτε την πινακίδα",
        "Απαγορεύεται η στάθμευση",
        "Πόσους ορόφους έχει;",
        "Περίπου δώδεκα",
    ],
    "cp1254": [
        "Faturanın toplam tutarı nedir?",
        "Üç bin beş yüz",
        "Bu işareti açıklayın",
        "Park etmek yasaktır",
        "Soldaki bina kaç katlı?",
        "Yaklaşık on iki",
    ],
    "cp1255": [
        "מה הסכום הכולל של החשבונית?",
        "שלושת אלפים וחמש מאות",
        "תאר את השלט הזה",
        "החניה אסורה",
        "כמה קומות יש בבניין?",
        "בערך שתים עשרה",
    ],
    "cp1256": [
        "ما هو المبلغ الإجمالي للفاتورة؟",
        "ثلاثة آلاف وخمسمائة",
        "صف هذه العلامة",
        "ممنوع الوقوف",
        "كم عدد الطوابق؟",
        "حوالي اثني عشر",
    ],
    "cp874": ["ยอดรวมของใบเสร็จคือเท่าไร", "สามพันห้าร้อยบาท", "อธิบายป้ายนี้", "ห้ามจอดรถ", "อาคารด้านซ้ายมีกี่ชั้น", "ประมาณสิบสองชั้น"],
    "mac_roman": [
        "Qual é o valor total da fatura?",
        "Três mil e quinhentos",
        "Beskriv skylten på vägen",
        "Förbjudet att köra här",
        "Größe und Länge",
        "Où êtes-vous né ?",
    ],
}
UNICODE = {
    "utf-8-sig": "utf-8-sig",
    "utf-16": "utf-16",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
    "utf-32": "utf-32",
    "iso2022_jp": "iso2022_jp",
}


def table(sentences):
    return "image,question,answer\n" + "".join(f"images/{n}.png,{each},ok {n}\n" for n, each in enumerate(sentences))


@pytest.mark.parametrize("encoding", SENTENCES)
def test_a_table_of_six_rows_comes_out_as_it_was_written(encoding, tmp_path):
    raw = table(SENTENCES[encoding]).encode(encoding)
    (tmp_path / "rows.csv").write_bytes(raw)

    found = encoding_of(tmp_path / "rows.csv")

    assert found.fits
    assert raw.decode(found.name) == raw.decode(encoding)


@pytest.mark.parametrize("encoding", SENTENCES)
def test_of_a_line_or_two_nothing_is_ever_taken_for_something_else(encoding):
    sentences = SENTENCES[encoding]
    for first in range(len(sentences)):
        for count in (1, 2, 3):
            raw = "\n".join(sentences[first : first + count]).encode(encoding)
            ranked = likeliest_of(raw)
            assert raw.isascii() or not decided(raw, ranked) or ranked[0][1] == raw.decode(encoding)


@pytest.mark.parametrize("encoding", UNICODE)
def test_unicode_in_any_form_needs_no_guess(encoding, tmp_path):
    text = table(SENTENCES["cp932"])
    (tmp_path / "rows.csv").write_bytes(text.encode(encoding))

    found = encoding_of(tmp_path / "rows.csv")

    assert (found.name, found.fits) == (UNICODE[encoding], True)


def test_noise_is_no_text(tmp_path):
    (tmp_path / "rows.csv").write_bytes(bytes(range(128, 256)) * 40)

    assert not encoding_of(tmp_path / "rows.csv").fits


def test_what_may_be_two_encodings_is_refused_with_both_readings_until_one_is_chosen(store, tmp_path):
    raw = "question,answer\nWhat?,赤色\n".encode("euc_jp")
    source = folder_of(tmp_path / "up", {"rows.csv": raw})

    with pytest.raises(UploadRefused) as caught:
        store.import_dataset(source, ImportOptions())
    [problem] = caught.value.problems
    assert problem.code == "TEXT_ENCODING"
    assert "`赤色`" in problem.message
    assert problem.message.count("(`") > 1

    store.import_dataset(source, ImportOptions(encoding="euc_jp"))
    assert [row.gold for row in store.rows("up")] == ["赤色"]


def test_the_encoding_that_was_taken_is_told(store, tmp_path):
    source = folder_of(
        tmp_path / "up",
        {
            "rows.csv": table(SENTENCES["big5"])
            .replace("images/", "")
            .replace(".png", "")
            .replace("image,", "n,")
            .encode("big5")
        },
    )

    report = store.import_dataset(source, ImportOptions())

    assert "`rows.csv` was read as `cp950`; check how its texts look" in report.manifest.notices


def test_a_choice_does_not_change_what_is_utf8(store, tmp_path):
    source = folder_of(
        tmp_path / "up",
        {"rows.csv": table(SENTENCES["big5"]).replace("images/", "").replace(".png", "").replace("image,", "n,")},
    )

    store.import_dataset(source, ImportOptions(encoding="big5"))

    assert {row.messages[0].content for row in store.rows("up")} == set(SENTENCES["big5"])


class UnmarkedEntry(zipfile.ZipInfo):
    """An entry whose name is written as other systems do: in their own bytes, without the mark of UTF-8."""

    def _encodeFilenameFlags(self):
        return self.filename.encode("cp437"), self.flag_bits & ~0x800


@pytest.mark.parametrize(
    ("encoding", "folder"),
    [
        ("cp949", "사진 모음"),
        ("cp932", "写真とイラスト"),
        ("big5", "照片資料"),
        ("gbk", "图片资料"),
        ("cp1252", "Fotos für später"),
        ("cp850", "Fotos für später"),
        ("cp437", "Fotos für später"),
        ("utf-8", "写真"),
    ],
)
def test_names_of_a_zip_are_found_whatever_system_made_it(store, tmp_path, encoding, folder):
    names = [f"{folder}/{n}.png" for n in range(3)]
    rows = [{"image": name, "question": "Q", "answer": str(n)} for n, name in enumerate(names)]
    with zipfile.ZipFile(tmp_path / "up.zip", "w") as zipped:
        zipped.writestr("rows.json", json.dumps(rows))
        for n, name in enumerate(names):
            entry = UnmarkedEntry(name.encode(encoding).decode("cp437"))
            zipped.writestr(entry, image_bytes(color=(n, 9, 9)))

    report = store.import_dataset(tmp_path / "up.zip", ImportOptions())

    assert (report.manifest.statistics.rows, report.manifest.statistics.images) == (3, 3)
