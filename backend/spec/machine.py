"""Where a run runs, and how DeepSpeed spreads it."""

from typing import Any, Literal

from backend.spec.knobs import Part, knob


class DeviceKnobs(Part):
    """Where it runs, and how it is spread."""

    gpus: tuple[int, ...] = knob((), label="GPUs", help="CUDA indices; empty takes the first free one, or the CPU")
    shared: bool = knob(
        False, label="Share devices", help="Start at once, beside whatever holds them; memory may not suffice for both"
    )
    processes: int = knob(
        1, label="CPU processes", help="Without a GPU: processes that share the samples of a step", unit="processes",
        ge=1, le=64,
    )  # fmt: skip
    threads: int = knob(
        0, label="CPU threads", help="Threads of each process; 0 shares the cores out", unit="threads", ge=0, le=1024
    )
    zero_stage: Literal[0, 2, 3] = knob(
        0, label="ZeRO stage", help="What processes share out: 0 nothing, 2 optimizer and gradients, 3 weights as well"
    )
    offload_optimizer: bool = knob(
        False, label="Offload optimizer", help="ZeRO 2 and 3: optimizer states rest in main memory; slower"
    )
    offload_parameters: bool = knob(
        False, label="Offload weights", help="ZeRO 3: weights rest in main memory; much slower"
    )
    deepspeed: dict[str, Any] = knob(
        {}, label="DeepSpeed overrides", help="JSON laid over the deepspeed.json that these settings make"
    )
