"""What is learned from, and what is trained."""

from typing import Literal, Self

from pydantic import Field, model_validator

from backend.spec.knobs import Part, knob

CELL = 28 * 28  # pixels of one visual token


class DatasetShare(Part):
    """One dataset of the mix."""

    name: str = Field(min_length=1)
    weight: float = Field(1.0, gt=0, le=1000)
    sha256: str = ""  # of the rows, filled in when the run is created


class DataKnobs(Part):
    """What is learned from."""

    datasets: tuple[DatasetShare, ...] = knob(
        (), label="Datasets", help="Names under data/, each with a weight", advanced=False
    )
    max_tokens: int = knob(
        2048, label="Longest sample", help="In text and image tokens; a sample is never cut", unit="tokens",
        ge=64, le=131072,
    )  # fmt: skip
    too_long: Literal["skip", "shrink"] = knob(
        "skip", label="Longer samples", help="Are left out, or their pictures are scaled down until they fit; counted"
    )
    boxes: Literal["as_written", "stored_pixels"] = knob(
        "as_written", label="Boxes in texts", help="In pixels of the stored picture they are scaled as the picture is"
    )
    seed: int = knob(
        42, label="Seed", help="Same seed, same order of samples and same starting adapters", ge=0, le=2**31
    )


class ModelKnobs(Part):
    """What is trained, and how large it sees."""

    base: str = knob("demo", label="Model", help="A catalogue name, a local folder, or a finished run", advanced=False)
    min_pixels: int = knob(
        4 * CELL, label="Smallest picture", help="Smaller pictures are scaled up", unit="px", ge=CELL, le=16384 * CELL
    )
    max_pixels: int = knob(
        576 * CELL, label="Largest picture", help="Larger pictures are scaled down", unit="px", ge=CELL, le=16384 * CELL
    )
    precision: Literal["auto", "bf16", "fp16", "fp32"] = knob(
        "auto", label="Precision", help="auto takes bf16 where the GPU has it, else fp32; fp16 needs a GPU"
    )

    @model_validator(mode="after")
    def _pixels_in_order(self) -> Self:
        if self.min_pixels > self.max_pixels:
            raise ValueError(
                f"`model.min_pixels` is {self.min_pixels:,}, above `model.max_pixels` of {self.max_pixels:,}"
            )
        return self
