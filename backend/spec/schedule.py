"""How many optimizer steps a run takes, as far as can be told before it starts."""

import math

from backend.spec.run import RunSpec

USUAL_FILL = 0.9  # how full a pass of many samples gets on average under a token budget


def samples_in_pass(rows: int, weight: float) -> int:
    """How many samples a dataset gives to one pass: its rows times its weight, at least one where it has any."""
    return max(1, round(rows * weight)) if rows else 0


def samples_per_step(spec: RunSpec, mean_tokens: float) -> float:
    """Samples of one optimizer step: exact by batch size, an estimate from the mean length under a token budget."""
    if not spec.batching.max_tokens or not mean_tokens:
        return float(spec.samples_per_step)
    in_pass = max(1.0, USUAL_FILL * spec.batching.max_tokens / mean_tokens)
    return in_pass * spec.batching.accumulation_steps * spec.processes


def prompts_per_generation(spec: RunSpec) -> int:
    """Prompts that all processes sample completions for before they learn from them."""
    return spec.samples_per_step * spec.grpo.reuse // spec.grpo.generations


def steps_per_generation(spec: RunSpec) -> int:
    """Optimizer steps that learn from the completions of one generation, as many as TRL takes over all iterations."""
    return spec.grpo.reuse * spec.grpo.iterations


def optimizer_steps(spec: RunSpec, samples: int, mean_tokens: float = 0.0) -> int:
    """Optimizer steps of a run whose passes have `samples` samples: by epochs, but no more than the step limit.

    The trainer counts for itself; the two agree but for a token budget, where this is an estimate.
    """
    by_epochs = (
        _steps_of_generations(spec, samples) if spec.kind == "grpo" else _steps_of_epochs(spec, samples, mean_tokens)
    )
    return min(by_epochs, spec.optimiser.max_steps or by_epochs)


def _steps_of_generations(spec: RunSpec, samples: int) -> int:
    """Whole generations until every epoch's prompts were sampled; each serves its steps."""
    generations = math.ceil(round(spec.optimiser.epochs * samples / prompts_per_generation(spec), 6))
    return max(1, generations) * steps_per_generation(spec) if samples else 0


def _steps_of_epochs(spec: RunSpec, samples: int, mean_tokens: float) -> int:
    per_pass = math.ceil(samples / samples_per_step(spec, mean_tokens))
    whole = int(spec.optimiser.epochs)
    return whole * per_pass + math.ceil(round((spec.optimiser.epochs - whole) * per_pass, 6))
