"""Write a checkpoint that is whole: weights, processor with the trained bounds, and the record that is written last."""

import os
import shutil
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors.torch import save_file
from torch import nn

from backend.catalog.checkpoints import COMPLETE, VISION_WEIGHTS, CheckpointRecord
from backend.jsonl import sync_folder, write_atomically
from backend.model.encoder import Encoder
from backend.model.parts import plain_name
from backend.spec.run import RunSpec


def save_checkpoint(model: nn.Module, encoder: Encoder, spec: RunSpec, folder: Path, step: int) -> None:
    """Write a checkpoint under a temporary name, sync it, mark it complete, and rename it into place.

    A cut-off at any moment leaves either the whole folder or a hidden one that nobody reads.

    Args:
        model: as trained, maybe wrapped by peft.
        encoder: its tokenizer and image processor are saved with the pixel bounds of the run.
        spec: of the run.
        folder: where the checkpoint shall lie; one that is there is replaced.
        step: optimizer steps so far.

    Raises:
        OSError: the disk refuses; `folder` is as it was.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        write_weights(model, spec, partial)
        write_processor(encoder, partial)
        _complete(partial, spec, step)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        sync_folder(folder.parent)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def write_weights(model: nn.Module, spec: RunSpec, folder: Path) -> None:
    """Write the whole model, or the adapter and the vision weights trained beside it."""
    if not isinstance(model, PeftModel):
        _with_cache(model).save_pretrained(folder)
        return
    model.peft_config["default"].base_model_name_or_path = spec.model.base
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's unfilled model card
    trained = {
        plain_name(name): parameter.detach().contiguous()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and ".lora_" not in name
    }
    if trained:
        save_file(trained, folder / VISION_WEIGHTS, metadata={"format": "pt"})


def write_processor(encoder: Encoder, folder: Path) -> None:
    """Write tokenizer, chat template and image processor, so that plain transformers sees the trained picture sizes."""
    processor = encoder.processor
    processor.image_processor.size = {"shortest_edge": encoder.min_pixels, "longest_edge": encoder.max_pixels}
    processor.save_pretrained(folder)


def _with_cache(model: Any) -> Any:
    """Undo `use_cache=False`, which training sets and which would make every later generation crawl."""
    model.config.use_cache = True
    model.config.get_text_config().use_cache = True
    return model


def _complete(folder: Path, spec: RunSpec, step: int) -> None:
    sizes = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
    record = CheckpointRecord(
        kind="model" if spec.table.is_whole else "adapter",
        base=spec.model.base,
        strategy=spec.strategy.name,
        step=step,
        min_pixels=spec.model.min_pixels,
        max_pixels=spec.model.max_pixels,
        sizes=sizes,
    )
    write_atomically(folder / COMPLETE, record.model_dump_json(indent=1).encode())
