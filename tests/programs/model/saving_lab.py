"""Trained models without training, and the one who writes their checkpoints."""

import json
from pathlib import Path

import torch

from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec


def changed_model(untrained, strategy: str, seed: int = 5):
    """A model whose trained parts differ from the base, as after training, and its spec."""
    from backend.programs.model.loading import choose_precision, load_base
    from backend.programs.model.parts import apply_strategy

    spec = RunSpec().with_values(
        {
            "strategy.name": "lora" if strategy == "vision adapters" else strategy,
            "strategy.lora_vision": strategy == "vision adapters",
            "model.base": str(untrained),
            "model.min_pixels": 4 * 784,
            "model.max_pixels": 64 * 784,
        }
    )
    model = apply_strategy(load_base(untrained, choose_precision("fp32")), spec)
    torch.manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.02 * torch.randn_like(parameter)
    model.config.use_cache = False  # as training leaves it
    return model.eval(), spec


class Engine:
    """Stands for the Trainer and DeepSpeed: holds a model, and writes a state of its own kind."""

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    def unwrapped(self) -> torch.nn.Module:
        return self.model

    def is_world_process_zero(self) -> bool:
        return True

    def save_state(self, folder: Path) -> None:
        torch.save({"moments": torch.arange(4000.0)}, folder / "optimizer.pt")
        (folder / "trainer_state.json").write_text(json.dumps({"global_step": 4}))


def checkpoints_of(workspace: Workspace, model, encoder, spec: RunSpec, name: str = "20260101-000000-run"):
    """The writer of a run's checkpoints, and the run's folder."""
    from backend.programs.training.checkpoint_manager import CheckpointManager

    folder = RunFolder(workspace.output / name)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.spec.write_text(spec.model_dump_json())
    checkpoints = CheckpointManager(spec, folder, encoder)
    checkpoints.trainer = Engine(model)
    return checkpoints, folder
