"""What GRPO draws, pays for and learns from."""

from typing import ClassVar, Literal

from pydantic import Field

from backend.spec.knobs import RunKind, SpecModel, knob
from backend.spec.sampling import MAX_TEMPERATURE, REPETITION_PENALTY_LIMITS, TOP_P_LIMITS

DRAWS_ANSWERS: tuple[RunKind, ...] = ("grpo", "reward_check")  # runs that draw answers and score them
CALLS_REWARDS: tuple[RunKind, ...] = (*DRAWS_ANSWERS, "evaluation")  # runs that call rewards


class RewardShare(SpecModel):
    """One reward of the sum."""

    name: str = Field(min_length=1)
    weight: float = Field(1.0, ge=-1000, le=1000)
    sha256: str = ""  # of its source, filled in when the run is created


class GrpoKnobs(SpecModel):
    """Group relative policy optimization: G answers to each question, judged against each other.

    Names and defaults are those of TRL's `GRPOConfig` where it has them, but for `epsilon_high` (DAPO's 0.28).
    """

    read_by: ClassVar[tuple[RunKind, ...]] = ("grpo",)

    rewards: tuple[RewardShare, ...] = knob(
        (),
        label="Rewards",
        help="What an answer earns: each with a weight, summed",
        read_by=DRAWS_ANSWERS,
        advanced=False,
    )
    generations: int = knob(
        8,
        label="Answers per question",
        help="The group G; an answer is judged against its group",
        read_by=DRAWS_ANSWERS,
        unit="answers",
        ge=2,
        le=128,
    )
    temperature: float = knob(
        1.0,
        label="Temperature",
        help="How freely answers are drawn; 1 as learned",
        read_by=DRAWS_ANSWERS,
        gt=0,
        le=MAX_TEMPERATURE,
    )
    top_p: float = knob(
        1.0,
        label="Top p",
        help="Draw from the likeliest tokens that hold this share",
        read_by=DRAWS_ANSWERS,
        **TOP_P_LIMITS,
    )
    top_k: int = knob(
        0,
        label="Top k",
        help="Draw from so many likeliest tokens; 0 means from all",
        read_by=DRAWS_ANSWERS,
        ge=0,
        le=1000,
    )
    repetition_penalty: float = knob(
        1.0,
        label="Repetition penalty",
        help="Above 1 makes tokens that were said before less likely",
        read_by=DRAWS_ANSWERS,
        **REPETITION_PENALTY_LIMITS,
    )
    max_completion_tokens: int = knob(
        256,
        label="Longest drawn answer",
        help="Answers are cut there and count as clipped",
        read_by=DRAWS_ANSWERS,
        unit="tokens",
        ge=1,
        le=16384,
    )
    loss: Literal["dapo", "grpo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo"] = knob(
        "dapo", label="Loss", help="How tokens of long and short answers are weighed against each other"
    )
    importance_sampling: Literal["token", "sequence"] = knob(
        "token", label="Importance ratio", help="Of each token, or of the whole answer as in GSPO"
    )
    scale_rewards: Literal["group", "batch", "none"] = knob(
        "group", label="Scale advantages", help="Divide by the spread of the group, of the batch, or not at all"
    )
    aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = knob(
        "sum_then_normalize", label="Several rewards", help="Summed and then normalised, or each by itself (GDPO)"
    )
    epsilon: float = knob(0.2, label="Clip below", help="How far an update may make an answer less likely", gt=0, le=10)
    epsilon_high: float = knob(0.28, label="Clip above", help="How far it may make one likelier", gt=0, le=10)
    delta: float = knob(
        0.0, label="Two-sided clip", help="Upper bound of the ratio also for bad answers; 0 means none", ge=0, le=100
    )
    beta: float = knob(0.0, label="KL weight", help="Pull towards the model it started from; 0 means none", ge=0, le=10)
    iterations: int = knob(1, label="Iterations", help="How often drawn answers are learned from", ge=1, le=16)
    reuse: int = knob(
        1,
        label="Steps per generation",
        help="Optimizer steps that share one drawing of answers",
        unit="steps",
        ge=1,
        le=64,
    )
    mask_truncated: bool = knob(False, label="Ignore cut answers", help="Answers that were cut teach nothing")
    top_entropy: float = knob(
        1.0, label="Uncertain tokens only", help="Learn from this share of tokens, the least certain ones", gt=0, le=1
    )
    entropy_bonus: float = knob(0.0, label="Entropy bonus", help="Keeps answers varied", ge=0, le=1)
    vllm: Literal["off", "colocate"] = knob(
        "off", label="vLLM", help="Draws answers faster on the same GPUs, where it is installed"
    )
    reward_seconds: float = knob(
        30.0,
        label="Reward deadline",
        help="A batch of answers that takes longer counts as failed",
        read_by=CALLS_REWARDS,
        unit="seconds",
        gt=0,
        le=3600,
    )
    reward_memory_gb: float = knob(
        8.0,
        label="Reward memory",
        help="For the process that runs a reward, and for all it starts together",
        read_by=CALLS_REWARDS,
        unit="GB",
        ge=0.5,
        le=256,
    )
    failed_batches: int = knob(
        5,
        label="Failures allowed",
        help="Batches in a row that a reward may fail before a run stops",
        unit="batches",
        ge=1,
        le=1000,
    )
    check_rows: int = knob(
        8,
        label="Rows of a dry run",
        help="Rows whose answers are scored before",
        read_by=("reward_check",),
        unit="rows",
        ge=1,
        le=200,
    )
