"""Score a checkpoint on a dataset's validation rows, one greedy answer a row: what the measuring scripts share."""

from pathlib import Path
from typing import NamedTuple

import torch
from transformers import DynamicCache

from backend.catalog.checkpoints import Checkpoint, resolve_checkpoint
from backend.datasets.store import DatasetStore
from backend.ids import DatasetName
from backend.programs.model.adapters import ModelHost
from backend.programs.model.generation import choose, first_logits, next_logits
from backend.settings import Workspace
from backend.spec.sampling import SamplingParameters

MOST_TOKENS = 48


class Score(NamedTuple):
    """How many of the last answers of the validation rows were given word for word."""

    right: int
    rows: int
    pairs: list[tuple[str, str]]  # gold, given

    @property
    def hits(self) -> list[float]:
        """1 for each row that was answered word for word, else 0."""
        return [float(gold.strip() == given.strip()) for gold, given in self.pairs]

    @property
    def share(self) -> float:
        """Exact match, between 0 and 1."""
        return self.right / max(1, self.rows)


def score(reference: str, dataset: str, workspace: Workspace, limit: int = 1000) -> Score:
    """Ask every validation row of `dataset` up to its last answer, greedily."""
    checkpoint = resolve_checkpoint(reference, workspace)
    host = ModelHost(checkpoint.base_folder)
    name, encoder = host.prepare(checkpoint), host.encoder(checkpoint)
    store = DatasetStore(workspace)
    folder, pairs = store.folder(DatasetName(dataset)), []
    for row in list(store.rows(DatasetName(dataset), split="validation"))[:limit]:
        *asked, gold = row.messages
        images = [folder / image for image in row.images]
        sample = encoder.encode(tuple(asked), images, for_answer=True)
        with host.active_with_vision(name) as model:
            given = greedy(model, sample, encoder)
        pairs.append((gold.content, given))
    return Score(sum(gold.strip() == given.strip() for gold, given in pairs), len(pairs), pairs)


def encoder_of(host: ModelHost, folder: Path):
    """The renderer for a whole model's own pixel bounds."""
    return host.encoder(Checkpoint(folder.name, folder, folder, None))


def greedy(model, sample, encoder) -> str:
    """The likeliest answer, without its end token."""
    sampling, chance, cache = SamplingParameters(), torch.Generator(), DynamicCache()
    made: list[int] = []
    token = choose(first_logits(model, sample, cache), sampling, chance)
    while token != encoder.end_id and len(made) < MOST_TOKENS:
        made.append(token)
        token = choose(next_logits(model, sample, cache, token, len(made)), sampling, chance)
    return encoder.tokenizer.decode(made, skip_special_tokens=True)
