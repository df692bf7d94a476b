"""Make the trainer of a run: one that is shown answers, or one that is paid for its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import distributed, nn
from transformers import TrainerCallback
from trl.models.utils import prepare_deepspeed
from trl.trainer.utils import add_fused_lm_head

from backend.datasets.store import DatasetStore
from backend.ids import DatasetName
from backend.model.encoder import Encoder
from backend.model.loading import Base, load_base
from backend.model.packing import Collator
from backend.model.parts import apply_strategy
from backend.rewards.paid import paid_rewards
from backend.runs.folder import RunFolder
from backend.settings import Workspace
from backend.spec.run import RunSpec
from backend.training.arguments import grpo_arguments, training_arguments
from backend.training.batches import RunBatches
from backend.training.groups import GroupBatches
from backend.training.grpo import Asking, GrpoTrainer
from backend.training.rollouts import keeper_of_rollouts
from backend.training.rows import TrainingRows
from backend.training.sft import SftTrainer


class TrainerMaker:
    """Holds what both kinds of trainer are made of."""

    def __init__(
        self, spec: RunSpec, folder: RunFolder, base: Base, encoder: Encoder, rows: TrainingRows
    ) -> None:  # fmt: skip
        """Plan the run's passes; nothing heavy is loaded yet."""
        self._spec, self._folder, self._base, self._encoder, self._rows = spec, folder, base, encoder, rows
        self.collator = Collator(encoder, packing=spec.batching.packing, needs_picture=_needs_picture(spec))
        world = (distributed.get_world_size(), distributed.get_rank())
        plan = GroupBatches if spec.kind == "grpo" else RunBatches
        self.batches: RunBatches | GroupBatches = plan(spec, rows, *world)

    @contextmanager
    def made(self, reporter: TrainerCallback) -> Iterator[Any]:
        """Load the model and make the trainer; what it has started ends with the block."""
        if isinstance(self.batches, GroupBatches):
            yield from self._grpo(self.batches, reporter)
        else:
            arguments = training_arguments(self._spec, self._folder, self._base.precision, self.batches.steps)
            yield SftTrainer(
                self._spec, self._rows, self.batches, self.collator, model=self._model(), args=arguments,
                callbacks=[reporter],
            )  # fmt: skip

    def _grpo(self, batches: GroupBatches, reporter: TrainerCallback) -> Iterator[GrpoTrainer]:
        spec, workspace = self._spec, Workspace(self._folder.path.parent.parent)
        arguments = grpo_arguments(spec, self._folder, self._base.precision, batches.steps)
        store = DatasetStore(workspace)
        rewards = paid_rewards(
            spec, self._folder, [store.folder(DatasetName(each.name)) for each in spec.data.datasets]
        )
        is_first = distributed.get_rank() == 0
        keep = keeper_of_rollouts(self._folder, spec, self._rows.question, is_first=is_first)
        asking = Asking(self._rows, batches, self._encoder, self.collator)
        try:
            trainer = GrpoTrainer(
                spec, asking, rewards, keep, model=self._model(), args=arguments, callbacks=[reporter]
            )  # fmt: skip
            if spec.grpo.beta and spec.table.learns_in_full:  # there, adapters alone do not tell the models apart
                trainer.ref_model = self._reference(trainer)
            yield trainer
        finally:
            for reward in rewards:
                reward.close()

    def _model(self) -> nn.Module:
        """The model that learns. The arguments stand before it: ZeRO-3 spreads its weights while they are loaded."""
        spec = self._spec
        model = load_base(*self._base, quantised=spec.table.quantised)
        model.config.use_cache = False
        model = apply_strategy(model, spec)
        if spec.batching.gradient_checkpointing and spec.table.uses_lora:
            model.enable_input_require_grads()  # gradients must start behind frozen embeddings
        return model

    def _reference(self, trainer: GrpoTrainer) -> nn.Module:
        """The model it started from, which KL compares with; with adapters the trainer switches those off instead."""
        model = load_base(*self._base).requires_grad_(False).eval()
        add_fused_lm_head(model, temperature=trainer.temperature, outputs=("log_probs", "entropy"))
        if self._spec.devices.zero_stage == 3:
            return prepare_deepspeed(model, trainer.accelerator)
        return model.to(trainer.accelerator.device)


def _needs_picture(spec: RunSpec) -> bool:
    """Whether every pass must run the vision tower: nothing else learns, or processes wait for each other there."""
    alone = distributed.get_world_size() == 1
    return spec.table.language == "frozen" or (
        not alone and (spec.devices.zero_stage == 3 or spec.table.vision != "frozen")
    )
