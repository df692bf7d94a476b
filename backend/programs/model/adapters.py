"""One base model in memory, and the adapters that stand on it: who speaks is switched between two tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from torch import nn

from backend.catalog.checkpoints import Checkpoint, pixel_bounds, read_record
from backend.programs.model.encoder import Encoder
from backend.programs.model.loading import attach_adapter, choose_precision, inference_device, load_base, vision_weights
from backend.programs.model.parts import plain_name

BASE_MODEL = ""


class ModelHost:
    """Holds a base model; adapters join it when they are first asked for."""

    def __init__(self, base_folder: Path) -> None:
        """Load the base model onto the first GPU, or the CPU. Raises CheckpointError."""
        precision = choose_precision("auto")
        self._base_folder = base_folder
        self._model: nn.Module = load_base(base_folder, precision).to(inference_device()).eval()
        self._active = BASE_MODEL
        self._encoders: dict[tuple[int, int], Encoder] = {}
        self._names: dict[Path, str] = {}  # adapter folder -> name within peft
        self._vision: dict[str, dict[str, torch.Tensor]] = {}  # adapter name -> trained vision weights

    def encoder(self, checkpoint: Checkpoint) -> Encoder:
        """The renderer with the pixel bounds that the checkpoint was trained with."""
        bounds = pixel_bounds(read_record(checkpoint.folder))
        if bounds not in self._encoders:
            self._encoders[bounds] = Encoder(self._base_folder, *bounds)
        return self._encoders[bounds]

    def prepare(self, checkpoint: Checkpoint) -> str:
        """Load the checkpoint's adapter where it is not yet there; returns who speaks for it."""
        if checkpoint.adapter is None:
            return BASE_MODEL
        if checkpoint.adapter not in self._names:
            name, trained = f"adapter{len(self._names)}", vision_weights(self._model, checkpoint)
            is_first = not isinstance(self._model, PeftModel)
            self._model = attach_adapter(self._model, checkpoint, name).eval()
            if is_first:
                self._active = name  # a later one only joins: whoever spoke goes on until `speak_as`
            self._vision[name] = trained
            self._names[checkpoint.adapter] = name
        return self._names[checkpoint.adapter]

    def activate(self, name: str) -> nn.Module:
        """Let the next forward be that adapter's, or the base model's own."""
        if name != self._active and isinstance(self._model, PeftModel):
            if name == BASE_MODEL:
                self._model.base_model.disable_adapter_layers()
            else:
                self._model.base_model.enable_adapter_layers()
                self._model.set_adapter(name)
            self._active = name
        return self._model

    @contextmanager
    def active_with_vision(self, name: str) -> Iterator[nn.Module]:
        """Speak as `name` with its own vision weights, which only the reading of a prompt needs."""
        model = self.activate(name)
        trained = self._vision.get(name, {})
        base = model.get_base_model() if isinstance(model, PeftModel) else model
        parameters = {plain_name(name): parameter for name, parameter in base.named_parameters()}
        original = {key: parameters[key].data for key in trained}
        try:
            for key, weight in trained.items():
                parameters[key].data = weight.to(parameters[key].device, parameters[key].dtype)
            yield model
        finally:
            for key, weight in original.items():
                parameters[key].data = weight
