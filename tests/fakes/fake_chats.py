"""Models that answer at once, for tests of what the page does with answers."""

from collections.abc import Iterator

from backend.chat_protocol import Piece
from backend.errors import CheckpointError
from launcher.chat import ChatRequest, ChatTarget


class FakeChats:
    """Answers with the model's name; the model `broken` cannot answer."""

    def __init__(self, *models: str) -> None:
        self.models = list(models)
        self.asked: list[ChatRequest] = []

    def choices(self) -> list[ChatTarget]:
        return [ChatTarget(model, f"The model {model}") for model in self.models]

    def ask(self, question: ChatRequest) -> Iterator[Piece]:
        self.asked.append(question)
        if question.checkpoint == "broken":
            raise CheckpointError("the weights of `broken` are broken", hint="Mend them")
        said = f"I am {question.checkpoint}"
        yield Piece(id=1, text=said, tokens=3, seconds=0.5)
        yield Piece(id=1, text=".", tokens=4, seconds=1.0, is_last=True, reason="end")
