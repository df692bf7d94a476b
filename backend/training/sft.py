"""Supervised fine-tuning: `transformers.Trainer` with packed rows, our own loss, and a rate for each part."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import Sampler
from transformers import Trainer

from backend.model.packing import Batch
from backend.model.parts import optimiser_groups
from backend.spec.run import RunSpec
from backend.training.rows import MixedOrder, TrainingRows

BETAS = (0.9, 0.999)


class SftTrainer(Trainer):
    """A thin subclass: what a batch is, what the loss is, which rates apply."""

    def __init__(self, spec: RunSpec, rows: TrainingRows, **arguments: Any) -> None:
        """Take the resolved spec beside what `Trainer` takes."""
        self._spec, self._training_rows = spec, rows
        self.tokens_seen = 0
        super().__init__(train_dataset=rows, **arguments)
        self.model_accepts_loss_kwargs = True  # so that the learned tokens of a whole step are counted for us

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return MixedOrder(self._training_rows.sources, self._spec.data.seed)

    def unwrapped(self) -> nn.Module:
        """The model without DeepSpeed's engine around it."""
        return self.accelerator.unwrap_model(self.model_wrapped)

    def report_gradient_norm(self) -> None:
        """Let DeepSpeed's engine tell the norm before clipping.

        In fp32 without ZeRO its `clip_fp32_gradients` drops the norm that torch hands back, and the engine then has
        none to tell. The method is exchanged on this one engine; with ZeRO or bf16 it is never called.
        """
        engine = self.model_wrapped

        def clip() -> None:
            clipped = engine.module.parameters()
            engine._global_grad_norm = nn.utils.clip_grad_norm_(clipped, self._spec.optimiser.max_grad_norm)

        engine.clip_fp32_gradients = clip

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW over the groups of the module table."""
        if getattr(self, "optimizer", None) is None:
            groups = optimiser_groups(model or self.model, self._spec)
            self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=1e-8, fused=True)
        return self.optimizer

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Mean cross-entropy over the learned tokens of the whole optimizer step, over all ranks and passes.

        The head runs only where a token is learned. Ranks average their gradients, hence the factor of their number.
        """
        self.tokens_seen += inputs["input_ids"].shape[1]
        targets = inputs.pop("shift_labels")
        outputs = model(**inputs, use_cache=False)  # with a cache, packed samples would see each other
        total = functional.cross_entropy(outputs.logits[0].float(), targets, reduction="sum")
        learned = num_items_in_batch if num_items_in_batch is not None else targets.numel()
        loss = total / learned * (self.accelerator.num_processes if num_items_in_batch is not None else 1)
        return (loss, outputs) if return_outputs else loss
