"""A workspace with small datasets and an untrained model, and real training in as few processes as can be."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from backend.datasets.store import DatasetStore, ImportOptions
from backend.ids import slug
from backend.rewards.contract import named_version
from backend.rewards.store import RewardStore
from backend.runs.events import Event, read_all
from backend.runs.folder import RunFolder
from backend.settings import ROOT, Workspace
from backend.spec.deepspeed import deepspeed_config
from backend.spec.run import RunSpec
from launcher.commands import SPINS, free_port
from tests.datasets.dataset_lab import folder_of, image_bytes

COLOURS = ("red", "green", "blue", "black", "white", "orange")
SIZES = ((56, 56), (84, 112), (140, 56), (112, 112))

# an untrained model answers with rubbish, of which some has more of this letter and some less
SOURCES = {
    "letters": """def reward(completions: list[str], **columns):
    return [float(text.count("e")) for text in completions]
""",
    "parts": """def reward(completions: list[str], answer: list[str], id: list[str], images, image_sizes, **columns):
    assert len(completions) == len(answer) == len(id) == len(images) == len(image_sizes)
    return [None if "," in t else {"overall": 1.0 * len(t), "short": float(len(t) < 9)} for t in completions]
""",
    "columns": """def reward(completions, answer, tolerance, **columns):
    assert {type(each) for each in tolerance} <= {float, type(None)} and any(tolerance)
    return [float(len(one[0]["content"]) < 9) + (each or 0.0) for one, each in zip(completions, tolerance)]
""",
    "state": """def reward(completions, trainer_state, log_metric, log_extra, **columns):
    log_metric("mine", trainer_state.global_step)
    log_extra("first", [one[0]["content"][:1] for one in completions])
    return [float(trainer_state.max_steps)] * len(completions)
""",
}


def mixed_rows(images: int, texts: int, side: int = 0, answer: str = "") -> dict[str, object]:
    """Files of an upload: questions about plain images of several sizes (or one), and some without any image."""
    files: dict[str, object] = {}
    rows = []
    for number in range(images):
        colour, name = COLOURS[number % len(COLOURS)], f"{number}.png"
        files[name] = image_bytes((side, side) if side else SIZES[number % len(SIZES)], colour)
        said = answer or f"It is {colour}, number {number}."
        row: dict[str, object] = {"image": name, "conversations": [_human("<image>\nWhat colour is it?"), _gpt(said)]}
        rows.append(row | ({"tolerance": 0.5} if number % 3 else {}))  # what a reward may ask for
    for number in range(texts):
        turns = [_human(f"Say {number}."), _gpt(f"{number}, as you wish."), _human("Again."), _gpt(f"{number}!")]
        rows.append({"conversations": turns})
    return files | {"data.json": json.dumps(rows)}


def _human(text: str) -> dict[str, str]:
    return {"from": "human", "value": text}


def _gpt(text: str) -> dict[str, str]:
    return {"from": "gpt", "value": text}


@dataclass(frozen=True)
class Ranks:
    """The processes of `train_many.py` that train one run after the other together."""

    started: list[subprocess.Popen[str]]
    log: Path

    @classmethod
    def start(cls, processes: int, log: Path) -> "Ranks":
        port, argv = free_port(set()), [sys.executable, "-m", "tests.programs.training.train_many"]
        with log.open("a") as errors:
            started = [
                subprocess.Popen(argv, cwd=ROOT, env=_environment(rank, processes, port), text=True,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
                for rank in range(processes)
            ]  # fmt: skip
        return cls(started, log)

    def train(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            line = f"{folder}\n"
            for rank in self.started:
                print(folder, file=rank.stdin, flush=True)
            answers = [rank.stdout.readline() for rank in self.started]
            assert answers == [line] * len(self.started), self.log.read_text()[-6000:]

    def end(self) -> None:
        for rank in self.started:
            rank.stdin.close()
        for rank in self.started:
            try:
                rank.wait(timeout=60)
            except subprocess.TimeoutExpired:  # one whose partner died waits for it
                rank.kill()
                rank.wait()
            rank.stdout.close()


@dataclass(frozen=True)
class Lab:
    """A workspace, and what can be trained in it."""

    workspace: Workspace
    base: Path
    ranks: dict[int, Ranks] = field(default_factory=dict)  # by how many processes they are

    def dataset(
        self, name: str, *, images: int, texts: int = 0, validation_share: float = 0.2, side: int = 0, answer: str = ""
    ) -> None:
        """Import a dataset of plain images."""
        upload = folder_of(self.workspace.root / f"upload-{name}", mixed_rows(images, texts, side, answer))
        options = ImportOptions(name=name, validation_share=validation_share)
        DatasetStore(self.workspace).import_dataset(upload, options)

    def spec(self, changes: Mapping[str, object]) -> RunSpec:
        """A small full fine-tune in fp32 that neither evaluates nor saves on the way, with `changes`."""
        plain = {
            "model.base": str(self.base), "model.max_pixels": 16 * 784, "model.precision": "fp32",
            "strategy.name": "full", "data.datasets": [{"name": "mixed"}], "optimiser.language_rate": 1e-3,
            "optimiser.merger_rate": 1e-3, "optimiser.vision_rate": 1e-3, "evaluation.rows": 0,
            "evaluation.max_new_tokens": 8, "saving.every_minutes": 0, "devices.threads": 1,
        }  # fmt: skip
        return RunSpec().with_values(plain | dict(changes))

    def rewarded(self, changes: Mapping[str, object]) -> RunSpec:
        """The same, learning from the one reward of `SOURCES` that `grpo.rewards` names, by default letters."""
        plain = {
            "kind": "grpo", "grpo.rewards": [{"name": "letters"}], "grpo.generations": 4, "batching.batch_size": 16,
            "grpo.max_completion_tokens": 6, "optimiser.max_steps": 3,
        }  # fmt: skip
        return self.spec(plain | dict(changes))

    def folder(self, name: str, spec: RunSpec) -> RunFolder:
        """Write a run's folder, as the launcher does."""
        folder = RunFolder(self.workspace.output / slug(name, fallback="run"))
        folder.path.mkdir(parents=True)
        folder.deepspeed.write_text(json.dumps(deepspeed_config(spec)))
        folder.spec.write_text(spec.model_dump_json())
        folder.rewards.mkdir()
        for share in spec.grpo.rewards:
            (folder.rewards / f"{share.name}.py").write_text(SOURCES[share.name])
        for metric in map(named_version, spec.evaluation.own_metrics):
            source = RewardStore(self.workspace).version(metric.name, metric.sha256)
            (folder.rewards / f"{metric.name}.py").write_text(source.text)
        return folder

    def train(self, specs: Mapping[str, RunSpec], processes: int = 1) -> dict[str, RunFolder]:
        """Train each spec under its name, all of a session in the same `processes`."""
        folders = {name: self.folder(name, spec) for name, spec in specs.items()}
        if processes not in self.ranks:
            self.ranks[processes] = Ranks.start(processes, self.workspace.root / f"ranks-{processes}.log")
        try:
            self.ranks[processes].train(folder.path for folder in folders.values())
        except BaseException:
            self.ranks.pop(processes).end()
            raise
        return folders

    def end(self) -> None:
        """Let all processes go; who trains again starts new ones."""
        while self.ranks:
            self.ranks.popitem()[1].end()


class OnDemand(dict[str, Any]):
    """Values by name, each made when it is first asked for, so that only what a test looks at is trained."""

    def __init__(self, make: Callable[[str], Any]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, name: str) -> Any:
        self[name] = self._make(name)
        return self[name]


def short_of(names: Iterable[str], short: Collection[str]) -> list[Any]:
    """The names as parameters of a test; those that are not `short` are for the nightly run."""
    return [name if name in short else pytest.param(name, marks=pytest.mark.long) for name in names]


def _environment(rank: int, processes: int, port: int) -> dict[str, str]:
    return os.environ | {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "GOMP_SPINCOUNT": SPINS,
    }  # fmt: skip


def metrics(folder: RunFolder, key: str) -> dict[int, float]:
    """A run's metric by step."""
    return {event.step: event.values[key] for event in _metric_events(folder) if key in event.values}


def _metric_events(folder: RunFolder) -> list[Event]:
    return [event for event in read_all(folder.events) if event.kind == "metric"]
