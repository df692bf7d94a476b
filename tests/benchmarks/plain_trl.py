"""TRL's GRPOTrainer as its documentation shows it, on the studio's model and rows: what `bench_trl` compares with.

    python -m tests.benchmarks.plain_trl SETTINGS.json

Prints the seconds at which each step ended, as JSON.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image
from transformers import AutoProcessor, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from backend.programs.model.loading import choose_precision, load_base
from backend.programs.model.parts import apply_strategy
from backend.rewards.builtin_library import builtin_source
from backend.spec.run import RunSpec


class Clock(TrainerCallback):
    """Notes when each step ends."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.ends.append(time.monotonic())


def main() -> None:
    """Train as the settings say."""
    job = json.loads(Path(sys.argv[1]).read_text())
    processor = AutoProcessor.from_pretrained(job["model"], padding_side="left")
    rows = [
        {"prompt": [{"role": "user", "content": row["question"]}], "answer": row["answer"],
         "images": [Image.open(row["image"]).convert("RGB")]}
        for row in job["rows"]
    ]  # fmt: skip
    names: dict[str, Any] = {}
    exec(builtin_source("exact_match").text, names)

    def exact_match(completions: list[Any], answer: list[str], **_: Any) -> list[float]:
        return names["reward"](
            prompts=[], completions=[completion[0]["content"] for completion in completions], answer=answer
        )

    spec = RunSpec.model_validate(job["spec"])
    clock = Clock()
    arguments = GRPOConfig(
        output_dir=job["output"], per_device_train_batch_size=spec.batching.batch_size,
        max_steps=spec.optimiser.max_steps,
        num_generations=spec.grpo.generations, max_completion_length=spec.grpo.max_completion_tokens,
        learning_rate=spec.optimiser.language_rate, lr_scheduler_type="constant", use_cpu=True, report_to=[],
        save_strategy="no", gradient_checkpointing=False, bf16=False, disable_tqdm=True, logging_steps=1,
    )  # fmt: skip
    model = apply_strategy(load_base(Path(job["model"]), choose_precision("fp32")), spec)
    GRPOTrainer(
        model=model, reward_funcs=[exact_match], args=arguments, train_dataset=Dataset.from_list(rows),
        processing_class=processor, callbacks=[clock],
    ).train()  # fmt: skip
    sys.stdout.write(json.dumps(clock.ends) + "\n")


if __name__ == "__main__":
    main()
