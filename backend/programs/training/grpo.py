"""Group relative policy optimization: TRL's trainer, with our questions, our renderer and our rewards."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch.utils.data import DataLoader
from trl import GRPOTrainer
from trl.models.utils import unwrap_model_for_generation

from backend.programs.model.encoder import IGNORED, Encoder, Sample, open_image, sized_image
from backend.programs.model.generation import left_padded
from backend.programs.model.packing import NOT_FOR_THE_MODEL, Collator, moved
from backend.programs.model.prompts import PromptRow, with_same_columns
from backend.programs.model.vision_features import (
    Features,
    as_model_input,
    features_of,
    may_share,
    takes_features,
    tower_is_frozen,
)
from backend.programs.training.base_trainer import StepMeter, StepTotals, StudioTrainer
from backend.programs.training.batch_sampler import GrpoBatchSampler
from backend.programs.training.distributed import gathered_objects
from backend.programs.training.rollouts import PlacedAnswers, rollout_answers
from backend.programs.training.rows import TrainingRows
from backend.rewards.sandbox.client import describe_isolation
from backend.rewards.trl_reward import TrlReward
from backend.spec.run import RunSpec

# TRL's names of what is shown; rewards' own are added by their prefix
REPORTED = (
    "reward", "reward_std", "frac_reward_zero_std", "entropy", "kl", "completions/mean_length",
    "completions/min_length", "completions/max_length", "completions/clipped_ratio", "clip_ratio/region_mean",
    "clip_ratio/low_mean", "clip_ratio/high_mean", "cispo_clip_ratio", "vespo/phi_seq_mean", "policy_loss",
    "entropy_coef",
)  # fmt: skip
MAX_WARNINGS = 20  # of a run


class TokenScores(NamedTuple):
    """Of B answers of at most C tokens; 0 behind an answer's end."""

    log_probabilities: torch.Tensor  # (B, C)
    entropies: torch.Tensor  # (B, C), in nats


def with_answer(question: Sample, answer: torch.Tensor) -> Sample:
    """A question with its answer behind it, whose tokens (A,) are what is learned."""
    following = int(question.positions.max()) + 1
    places = following + torch.arange(len(answer))
    return replace(
        question,
        input_ids=torch.cat([question.input_ids, answer]),
        labels=torch.cat([torch.full_like(question.input_ids, IGNORED), answer]),
        token_types=torch.cat([question.token_types, torch.zeros_like(answer)]),
        positions=torch.cat([question.positions, places.expand(3, -1)], dim=1),
    )


def score_answers(
    model: Any,
    questions: Sequence[Sample],
    answers: torch.Tensor,
    mask: torch.Tensor,
    collator: Collator,
    features: Sequence[Features] | None = None,
) -> TokenScores:
    """Run one forward pass over B questions with their answers.

    Args:
        model: with TRL's fused head (`add_fused_lm_head`), maybe inside an engine.
        questions: as they were asked.
        answers: (B, C), filled up at their ends.
        mask: (B, C), 1 on the answers' own tokens.
        collator: packs or pads, as the spec says.
        features: of each question's images where they are shared; else every copy's patches go through the tower.
    """
    answer_mask = mask.bool()
    rows = [
        with_answer(question, answer[row_mask].cpu())
        for question, answer, row_mask in zip(questions, answers, answer_mask, strict=True)
    ]
    batch = moved(collator(rows), answers.device)
    inputs = {name: value for name, value in batch.items() if name not in (*NOT_FOR_THE_MODEL, "logits_to_keep")}
    if features is not None:
        inputs = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_grid_thw")}
        inputs |= as_model_input(features)
    learned = _learned_places(batch)
    labels = torch.full_like(batch["input_ids"], IGNORED).masked_scatter(learned, batch["shift_labels"])
    outputs = model(**inputs, shift_labels=labels, fused_lm_head=True)
    return TokenScores(*(_unflattened(values[learned], answer_mask) for values in (outputs.log_probs, outputs.entropy)))


class GrpoData(NamedTuple):
    """What a run may ask."""

    rows: TrainingRows
    sampler: GrpoBatchSampler  # which of them each generation asks
    encoder: Encoder
    collator: Collator  # makes batches of answered questions


class GrpoTrainer(StudioTrainer, GRPOTrainer):
    """A thin subclass: what is asked, how it is encoded, and what is kept of the answers."""

    def __init__(
        self,
        spec: RunSpec,
        data: GrpoData,
        rewards: list[TrlReward],
        write_rollouts: Callable[[int, PlacedAnswers], None],
        **arguments: Any,
    ) -> None:
        """Take the resolved spec and the plan.

        Args:
            spec: resolved.
            data: what may be asked, in which order, and how it is encoded.
            rewards: what judges answers.
            write_rollouts: called with the step and this process' answers of each generation.
            arguments: `model`, `args` and what `GRPOTrainer` takes besides.
        """
        self._spec, self._rewards, self._write_rollouts = spec, rewards, write_rollouts
        self._rows, self._sampler, self._encoder, self._collator = data
        self._questions: list[PromptRow] = []
        self._prompts: list[Sample] = []  # the newest generation's prompts, one for each answer
        self._distinct: list[int] = []  # for each of them the first place of the same question
        self._features: dict[int, Features] = {}  # by such a place, while the tower is frozen
        self._scored_places: torch.Tensor = torch.empty(0)  # places in `_prompts` of the answers a micro-batch is about
        self._completions: list[str] = []  # to them
        self._completion_ids: list[list[int]] = []  # their tokens
        self._warned: list[str] = []
        dtypes = {name: parameter.dtype for name, parameter in arguments["model"].named_parameters()}
        super().__init__(
            reward_funcs=list(rewards),
            processing_class=self._encoder.processor,
            train_dataset=Dataset.from_dict({"place": list(range(len(self._rows)))}),
            **arguments,
        )
        # TRL rounds the adapters of a 4-bit model to bf16
        for name, parameter in arguments["model"].named_parameters():
            parameter.data = parameter.data.to(dtypes[name])
        self.beta = spec.grpo.beta  # set only now: TRL would load a second model, or copy the adapters, by itself
        self.meter = StepMeter([], self.args.device)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """This process' generations, in the planned order."""
        return DataLoader(range(len(self._rows)), batch_sampler=self._sampler, collate_fn=list)

    def start_at(self, step: int) -> None:
        """Generate anew where a whole run would have: TRL counts micro-batches from 0."""
        self._step = step * self.args.gradient_accumulation_steps

    def notes(self) -> list[str]:
        """How reward workers are isolated here. Raises SpecError where that is less than the spec demands."""
        return [f"Rewards run apart: {describe_isolation(self._rewards[0].worker.isolation)}"]

    def new_warnings(self) -> list[str]:
        """Each mistake of each reward, the first time it is made."""
        messages = [f"Reward `{reward.__name__}`: {reward.last_error}" for reward in self._rewards if reward.last_error]
        new = [text for text in messages if text not in self._warned][: MAX_WARNINGS - len(self._warned)]
        self._warned += new
        return new

    def step_metrics(self, logs: dict[str, Any], totals: StepTotals) -> dict[str, float | None]:
        """TRL's metrics of the step under TRL's names, and the seconds that one step took."""
        return {name: value for name, value in logs.items() if name in REPORTED or name.startswith("rewards/")}

    def _generate_and_score_completions(self, inputs: list[int]) -> dict[str, Any]:
        """Ask the questions of one generation, let the rewards judge, and keep what was answered."""
        questions = [self._rows.question(place) for place in inputs]
        first = {place: number for number, place in reversed(list(enumerate(inputs)))}
        encoded = {
            place: questions[number].encoded(self._spec, self._encoder, for_answer=True)
            for place, number in first.items()
        }
        self._questions = questions
        self._prompts, self._distinct = [encoded[place] for place in inputs], [first[place] for place in inputs]
        self._features, self._scored_places = {}, torch.arange(len(inputs))
        output: dict[str, Any] = super()._generate_and_score_completions(
            with_same_columns([question.columns(self._spec) for question in questions])
        )
        output["places"] = torch.arange(len(inputs))
        self._meter_answers()
        weights = [share.weight for share in self._spec.grpo.rewards]
        self._write_rollouts(
            self.state.global_step,
            rollout_answers(inputs, output["advantages"].tolist(), self._rewards, weights, self._completions_to_keep()),
        )
        return output

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        """Our renderer's tokens; images are not TRL's business."""
        return [sample.input_ids.tolist() for sample in self._prompts], None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, *_: Any, **__: Any
    ) -> tuple[list[list[int]], Any]:
        """Draw an answer to each question, its group's images having been looked at once."""
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, self._images(), {}, num_generations)
        with (
            unwrap_model_for_generation(
                self.model_wrapped,
                self.accelerator,
                generation_kwargs=self.generation_kwargs,
                gradient_checkpointing_kwargs=self.args.gradient_checkpointing_kwargs,
            ) as model,
            torch.no_grad(),
        ):
            features = self._image_features(model, range(len(self._prompts)), is_gathered=True)
            if takes_features(model) and tower_is_frozen(model):  # also without images: no process may look again
                self._features = dict(zip(self._distinct, features or [()] * len(self._prompts), strict=True))
            filler, device = self._encoder.tokenizer.pad_token_id, self.accelerator.device
            generated = model.generate(
                **left_padded(self._prompts, filler, device, features), generation_config=self.generation_config
            )
        longest = max(sample.tokens for sample in self._prompts)
        return [self._until_end(tokens) for tokens in generated[:, longest:].tolist()], None

    def _calculate_rewards(self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any) -> torch.Tensor:
        """As TRL does, but an answer that some reward could not judge by mistake is judged by none.

        The rest of its pay would stand against the whole pay of its group, as if the reward had said 0. All processes
        learn alike whether a reward keeps failing.
        """
        self._completions = [completion[0]["content"] for completion in completions]
        self._completion_ids = completion_ids_list
        rewards: torch.Tensor = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        mistaken = [any(reward.has_error(number) for reward in self._rewards) for number in range(len(completions))]
        rewards[self.accelerator.gather(torch.tensor(mistaken, device=rewards.device).int()).bool()] = torch.nan
        streaks = gathered_objects([(reward.failed_in_a_row, reward.last_error) for reward in self._rewards])
        for number, reward in enumerate(self._rewards):
            streak = max(process[number][0] for process in streaks)
            reward.last_error = next((process[number][1] for process in streaks if process[number][1]), "")
            if streak >= self._spec.grpo.failed_batches:
                self.failure_reason = (
                    f"Reward `{reward.__name__}` failed {streak} batches in a row: {reward.last_error}"
                )
        return rewards

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """Remember which answers this micro-batch is about: TRL has mixed the generation before it cut it."""
        self._scored_places = inputs["places"]
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        """Log-probabilities and entropies (B, C) of the answers, `batch_size` of them a forward pass."""
        answers, mask = input_ids[:, -logits_to_keep:], attention_mask[:, -logits_to_keep:]
        scores = []
        for begin in range(0, len(answers), batch_size or len(answers)):
            part = slice(begin, begin + (batch_size or len(answers)))
            places = self._scored_places[part].tolist()
            questions = [self._prompts[place] for place in places]
            with self.accelerator.autocast():
                features = self._image_features(model, places)
                scores.append(score_answers(model, questions, answers[part], mask[part], self._collator, features))
        return (
            torch.cat([each.log_probabilities for each in scores]),
            torch.cat([each.entropies for each in scores]),
            None,
        )

    def _image_features(self, model: Any, places: Sequence[int], *, is_gathered: bool = False) -> list[Features] | None:
        """Features of these answers' images, each looked at once; None where they cannot be shared."""
        if self._features:
            return [self._features[self._distinct[place]] for place in places]
        whole = self.accelerator.unwrap_model(model)
        if not may_share(whole, is_gathered=is_gathered) or not any(
            len(self._prompts[place].grids) for place in places
        ):
            return None
        distinct = sorted({self._distinct[place] for place in places})
        features_by_place = dict(
            zip(distinct, features_of(whole, [self._prompts[place] for place in distinct]), strict=True)
        )
        return [features_by_place[self._distinct[place]] for place in places]

    def _images(self) -> list[list[Any] | None]:
        """The images of each question at the size the model sees them, for vLLM, which encodes them itself."""
        bounds = self._spec.model.min_pixels
        return [
            [sized_image(open_image(path), bounds, question.fit.max_pixels) for path in question.images] or None
            for question in self._questions
        ]

    def _until_end(self, tokens: list[int]) -> list[int]:
        """An answer's tokens up to and with its first end."""
        end = next((place for place, token in enumerate(tokens) if token in self.eos_token_ids), len(tokens))
        return tokens[: end + 1]

    def _completions_to_keep(self) -> list[tuple[str, int, bool]]:
        """Text, tokens and whether it was cut, of each answer of the newest generation."""
        cut = [not ids or ids[-1] not in self.eos_token_ids for ids in self._completion_ids]
        return [
            (text, len(ids), is_cut)
            for text, ids, is_cut in zip(self._completions, self._completion_ids, cut, strict=True)
        ]

    def _meter_answers(self) -> None:
        """Add the answers of a generation to what the next step counts."""
        tokens = sum(sample.tokens for sample in self._prompts) + sum(len(ids) for ids in self._completion_ids)
        self.meter.add_counts(len(self._prompts), tokens)


def _learned_places(batch: dict[str, Any]) -> torch.Tensor:
    """Where the next token is learned, in the shape of `input_ids`."""
    if "learned" in batch:
        return batch["learned"]
    places = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    places[0, batch["logits_to_keep"]] = True
    return places


def _unflattened(values: torch.Tensor, answer_mask: torch.Tensor) -> torch.Tensor:
    """Lay the values of all learned tokens, in order, out as (B, C)."""
    return values.new_zeros(answer_mask.shape).masked_scatter(answer_mask, values)
