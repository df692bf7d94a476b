"""Write a whole checkpoint: weights, gathered where ZeRO-3 spread them, processor, and the record written last."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deepspeed
import torch
from peft import PeftModel
from safetensors.torch import save_file
from torch import nn

from backend.catalog.checkpoints import COMPLETE, VISION_WEIGHTS, CheckpointRecord, digests_of
from backend.jsonl import sync_folder, write_atomically
from backend.programs.model.encoder import Encoder
from backend.programs.model.parts import plain_name
from backend.spec.run import RunSpec

Weights = dict[str, torch.Tensor]


def is_spread(model: nn.Module) -> bool:
    """Whether this process holds only pieces of the weights."""
    return any(hasattr(parameter, "ds_numel") for parameter in model.parameters())


def gathered(model: nn.Module, is_selected: Callable[[str, nn.Parameter], bool], *, is_kept: bool) -> Weights:
    """Gather the wanted weights one by one; every process must call.

    Args:
        model: as trained.
        is_selected: by name and parameter.
        is_kept: whether this process wants them; the others only take part.

    Returns:
        Name -> whole weight in main memory; empty where this process does not keep them.
    """
    weights: Weights = {}
    for name, parameter in model.named_parameters():
        if is_selected(name, parameter):
            with deepspeed.zero.GatheredParameters([parameter]):
                if is_kept:
                    weights[name] = parameter.detach().cpu().clone()
    return weights


@contextmanager
def whole_or_absent(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to write into; rename it to `folder` at the end, or leave everything as it was.

    A cut-off at any moment leaves either the whole folder or a hidden one that nobody reads.

    Raises:
        OSError: the disk refuses; `folder` is as it was.
    """
    partial = partial_of(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        yield partial
        put_in_place(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def partial_of(folder: Path) -> Path:
    """Where a checkpoint is written before it takes its name."""
    return folder.with_name(f".{folder.name}.partial")


def put_in_place(partial: Path, folder: Path) -> None:
    """Rename a finished folder into place, at once where nothing or an empty folder is there.

    A checkpoint that is replaced makes way at the last moment, and comes back where the new one cannot take its place.

    Raises:
        OSError: the disk refuses; `folder` is as it was.
    """
    old = folder.with_name(f".{folder.name}.replaced")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
    elif old.exists():  # a kill came between two renames
        old.rename(folder)
    if folder.exists() and any(folder.iterdir()):
        folder.rename(old)
    try:
        partial.rename(folder)
    except OSError:
        if old.exists():
            old.rename(folder)
        raise
    sync_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def save_checkpoint(model: nn.Module, encoder: Encoder, spec: RunSpec, folder: Path, step: int) -> None:
    """Write a checkpoint of weights that this process holds whole. Raises OSError; `folder` is then as it was.

    Args:
        model: as trained, maybe wrapped by peft.
        encoder: its tokenizer and image processor are saved with the pixel bounds of the run.
        spec: of the run.
        folder: where the checkpoint shall lie; one that is there is replaced.
        step: optimizer steps so far.
    """
    with whole_or_absent(folder) as partial:
        write_model(model, encoder, spec, partial)
        complete(partial, spec, step)


def write_model(
    model: nn.Module, encoder: Encoder, spec: RunSpec, folder: Path, weights: Weights | None = None
) -> None:
    """Write weights and processor; `weights` stands in for the model's own where ZeRO-3 has spread those."""
    write_weights(model, spec, folder, weights)
    write_processor(encoder, folder)


def write_weights(model: nn.Module, spec: RunSpec, folder: Path, weights: Weights | None = None) -> None:
    """Write the whole model, or the adapter and the vision weights trained beside it."""
    if not isinstance(model, PeftModel):
        with as_for_generation(model) as whole:
            whole.save_pretrained(folder, state_dict=weights)
        return
    model.peft_config["default"].base_model_name_or_path = spec.model.base
    model.save_pretrained(folder, state_dict=weights, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # peft's unfilled model card
    trained = {
        plain_name(name): (parameter if weights is None else weights[name]).detach().contiguous()
        for name, parameter in model.named_parameters()
        if is_trained_vision(name, parameter)
    }
    if trained:
        save_file(trained, folder / VISION_WEIGHTS, metadata={"format": "pt"})


def is_trained_vision(name: str, parameter: nn.Parameter) -> bool:
    """Whether a parameter learns beside an adapter."""
    return parameter.requires_grad and ".lora_" not in name


def write_processor(encoder: Encoder, folder: Path) -> None:
    """Write tokenizer, chat template and image processor, so that plain transformers sees the trained image sizes."""
    processor = encoder.processor
    processor.image_processor.size = {"shortest_edge": encoder.min_pixels, "longest_edge": encoder.max_pixels}
    processor.save_pretrained(folder)


@contextmanager
def as_for_generation(model: Any) -> Iterator[Any]:
    """Undo `use_cache=False` for the saved files: it would make every later generation crawl."""
    configs = (model.config, model.config.get_text_config())
    before = [getattr(config, "use_cache", True) for config in configs]
    try:
        for config in configs:
            config.use_cache = True
        yield model
    finally:
        for config, value in zip(configs, before, strict=True):
            config.use_cache = value


def complete(folder: Path, spec: RunSpec, step: int) -> None:
    """Sync every file and write the record that makes the folder a checkpoint. Raises OSError."""
    sizes = synced_sizes(folder)
    record = CheckpointRecord(
        kind="model" if spec.table.is_whole else "adapter",
        base=spec.model.base,
        strategy=spec.strategy.name,
        step=step,
        min_pixels=spec.model.min_pixels,
        max_pixels=spec.model.max_pixels,
        sizes=sizes,
        sha256=digests_of(folder, sizes),
    )
    write_atomically(folder / COMPLETE, record.model_dump_json(indent=1).encode())


def synced_sizes(folder: Path) -> dict[str, int]:
    """Sync every file of a folder, then the folders that name them; bytes by a file's path within it."""
    sizes, folders = {}, [folder]
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as written:
                os.fsync(written.fileno())
            sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
        else:
            folders.append(path)
    for each in reversed(folders):
        sync_folder(each)
    return sizes
