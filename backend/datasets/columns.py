"""What tables call the picture, the question and the answer, in English and Chinese."""

from collections.abc import Iterable

from backend.datasets.records import ColumnMapping

ROW_IMAGES = ("image", "images", "image_path", "image_paths", "image_file", "img")  # beside a list of turns
IMAGE = (
    *ROW_IMAGES, "img_path", "picture", "pictures", "photo",
    "photos", "file_name", "filename", "image_name", "file", "path",
    "图片", "图像", "照片", "图片路径", "图像路径", "图片名", "图片名称", "文件名", "图", "影像",
)  # fmt: skip
QUESTION = (
    "question", "prompt", "instruction", "query", "problem", "user", "question_text", "input",
    "问题", "提问", "指令", "提示", "提示词", "输入", "题目",
)  # fmt: skip
ANSWER = (
    "answer", "response", "completion", "output", "assistant", "caption", "solution", "description", "label", "target",
    "ground_truth", "answer_text", "text",
    "答案", "回答", "回复", "描述", "标签", "输出", "标注", "说明",
)  # fmt: skip
SYSTEM = ("system", "system_prompt", "系统", "系统提示", "系统提示词")


def suggest(columns: Iterable[str]) -> ColumnMapping:
    """Guess which column plays which part; the earlier name of a list goes before the later. Empty where none fits."""
    by_name = {
        column.strip().casefold().replace(" ", "_").replace("-", "_"): column for column in reversed(list(columns))
    }

    def first(names: tuple[str, ...]) -> str:
        return next((by_name[name] for name in names if name in by_name), "")

    return ColumnMapping(image=first(IMAGE), question=first(QUESTION), answer=first(ANSWER), system=first(SYSTEM))


def is_enough(mapping: ColumnMapping) -> bool:
    """Tell whether rows can be made: an answer, and a picture or a question to answer."""
    return bool(mapping.answer and (mapping.image or mapping.question))
