"""Load a model for training or talking: precision with its reason, 4-bit language, adapters, trained vision weights."""

from pathlib import Path
from typing import Literal, NamedTuple

import torch
from peft import PeftModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from transformers import BitsAndBytesConfig, Qwen2_5_VLForConditionalGeneration

from backend.catalog.checkpoints import VISION_WEIGHTS, Checkpoint, read_record
from backend.catalog.model_folder import checked_adapter, checked_model
from backend.errors import CheckpointError, SpecError
from backend.programs.model.attention import use_studio_attention
from backend.programs.model.cpu_threads import share_cores
from backend.programs.model.parts import plain_name

# `["visual"]` would quantise the whole tower without a word: the names must be anchored like this.
NOT_QUANTISED = ["model.visual", "lm_head"]
SHORTCUT = "support_avx512bf16_for_cpu"  # of 4-bit layers, which then round to bf16 what was learned in fp32
# What a config that `outside` let pass can still raise where transformers builds and fills the model.
_UNLOADABLE = (
    OSError,
    SafetensorError,
    RuntimeError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
)


class Precision(NamedTuple):
    """The dtype of a run, and why."""

    dtype: torch.dtype
    because: str


class ModelSource(NamedTuple):
    """A whole model to start from, and in what it computes."""

    folder: Path
    precision: Precision


def inference_device() -> str:
    """Where a model answers: the first GPU, or the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_precision(requested: Literal["auto", "bf16", "fp16", "fp32"]) -> Precision:
    """Decide the dtype. On a CPU bf16 arithmetic is slower than fp32, so `auto` takes fp32 there.

    Raises:
        SpecError: fp16 without a GPU.
    """
    if requested == "fp16":
        if not torch.cuda.is_available():
            raise SpecError("`model.precision` fp16 needs a GPU", hint="Take `fp32`, or `auto`")
        return Precision(torch.float16, "asked for")
    if requested == "bf16":
        return Precision(torch.bfloat16, "asked for")
    if requested == "fp32":
        return Precision(torch.float32, "asked for")
    if torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision(torch.bfloat16, "the GPU computes in bf16")
    return Precision(torch.float32, "there is no GPU that computes in bf16")


def load_base(folder: Path, precision: Precision, *, quantised: bool = False) -> nn.Module:
    """Load a whole model.

    Args:
        folder: HF layout, safetensors only.
        precision: of everything that is not stored in 4 bits.
        quantised: store the language model's linear layers as NF4 with double quantisation; the vision tower, the
            merger and the head stay whole.

    Raises:
        CheckpointError: another architecture, or files that are missing or broken.
    """
    checked_model(folder)
    four_bit = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision.dtype,
        llm_int8_skip_modules=NOT_QUANTISED,
    )
    try:
        model, loading_info = Qwen2_5_VLForConditionalGeneration.from_pretrained(
            folder,
            dtype=precision.dtype,
            attn_implementation="sdpa",
            use_safetensors=True,
            quantization_config=four_bit if quantised else None,
            output_loading_info=True,
        )
    except _UNLOADABLE as error:
        raise CheckpointError(
            f"`{folder.name}` cannot be loaded: {' '.join(str(error).split())[:200]}",
            hint="Take another checkpoint, or fetch the model again",
        ) from error
    missing = loading_info["missing_keys"]
    if missing:  # transformers would begin them at random
        raise CheckpointError(
            f"`{folder.name}` lacks {len(missing)} weights, `{min(missing)}` for one",
            hint="Take another checkpoint, or fetch the model again",
        )
    use_studio_attention(model)
    share_cores(model)
    for module in model.modules():
        if hasattr(module, SHORTCUT):
            setattr(module, SHORTCUT, False)
    return model


def load_checkpoint(checkpoint: Checkpoint, precision: Precision) -> nn.Module:
    """Load a checkpoint as it lies on disk: a whole model, or its base with adapter and trained vision weights.

    Raises:
        CheckpointError: as `load_base` and `attach_adapter`.
    """
    model = load_base(checkpoint.base_folder, precision)
    if checkpoint.adapter is None:
        return model
    model.load_state_dict(vision_weights(model, checkpoint), strict=False)
    return attach_adapter(model, checkpoint, "default")


def attach_adapter(model: nn.Module, checkpoint: Checkpoint, name: str) -> PeftModel:
    """Put an adapter on a loaded base model under `name`; a second one joins the first.

    Raises:
        CheckpointError: adapter weights are missing or do not fit this model.
    """
    if checkpoint.adapter is None:
        raise CheckpointError(f"`{checkpoint.reference}` is no adapter", hint="Load it as a whole model")
    record = read_record(checkpoint.adapter)
    checked_adapter(checkpoint.adapter, record.base if record else "")
    if isinstance(model, PeftModel):
        try:
            result = model.load_adapter(str(checkpoint.adapter), adapter_name=name)
        except _UNLOADABLE as error:
            raise _misfit(checkpoint, " ".join(str(error).split())[:200]) from error
        missing = [key for key in result.missing_keys if "lora_" in key and f".{name}." in key]
        if missing or result.unexpected_keys:
            raise _misfit(checkpoint, (missing or result.unexpected_keys)[0])
        return model
    try:
        return PeftModel.from_pretrained(model, str(checkpoint.adapter), adapter_name=name)
    except _UNLOADABLE as error:
        raise _misfit(checkpoint, " ".join(str(error).split())[:200]) from error


def vision_weights(model: nn.Module, checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The vision weights trained beside an adapter, named as in the released model; empty where there are none.

    Raises:
        CheckpointError: weights that `model`, the adapter's base, does not have, or has in another shape.
    """
    if checkpoint.adapter is None or not (checkpoint.adapter / VISION_WEIGHTS).is_file():
        return {}
    weights = load_file(checkpoint.adapter / VISION_WEIGHTS)
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    shapes = {plain_name(name): parameter.shape for name, parameter in base.named_parameters()}
    for name, weight in weights.items():
        if shapes.get(name) != weight.shape:
            raise _misfit(checkpoint, f"its `{VISION_WEIGHTS}` holds `{name[:120]}` of {tuple(weight.shape)}")
    return weights


def _misfit(checkpoint: Checkpoint, reason: str) -> CheckpointError:
    return CheckpointError(
        f"The adapter of `{checkpoint.reference}` does not fit: {reason}", hint="It was trained on another model"
    )
