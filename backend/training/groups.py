"""Which questions each drawing of answers asks, planned ahead for a whole run."""

import itertools
import math
from collections.abc import Iterator

from torch.utils.data import Sampler

from backend.spec.run import RunSpec
from backend.training.rows import TrainingRows, order_of_pass


class GroupBatches(Sampler[list[int]]):
    """One process' share of every drawing: each question G times in a row, over all processes in order.

    A drawing serves `grpo.reuse` x `grpo.iterations` optimizer steps, and the trainer asks for a batch before each of
    their passes though it only uses the first: so each is given that often. Questions go on from pass to pass over the
    data without a gap; what a pass leaves over begins the next drawing.
    """

    def __init__(self, spec: RunSpec, rows: TrainingRows, processes: int, rank: int) -> None:
        """Plan the run for `processes` of which this one is `rank`."""
        self._spec, self._rows, self._rank = spec, rows, rank
        knobs, batching = spec.grpo, spec.batching
        self._answers_here = batching.batch_size * batching.accumulation_steps * knobs.reuse
        self._questions = self._answers_here * processes // knobs.generations
        self._steps_each = knobs.reuse * knobs.iterations
        by_epochs = math.ceil(round(spec.optimiser.epochs * rows.samples_in_pass / self._questions, 6))
        steps = max(1, by_epochs) * self._steps_each
        self.steps = min(steps, spec.optimiser.max_steps or steps)

    def __len__(self) -> int:
        """Forward passes of this process, over the whole run."""
        return self.steps * self._spec.batching.accumulation_steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process' share of the drawing that each pass belongs to."""
        often = self._spec.batching.accumulation_steps * self._steps_each
        begin = self._rank * self._answers_here
        for drawing in range(math.ceil(self.steps / self._steps_each)):
            copies = [row for row in self.questions(drawing) for _ in range(self._spec.grpo.generations)]
            yield from itertools.repeat(copies[begin : begin + self._answers_here], often)

    def questions(self, drawing: int) -> list[int]:
        """The rows that all processes ask together in one drawing, counted from 0."""
        in_pass = self._rows.samples_in_pass
        places = range(drawing * self._questions, (drawing + 1) * self._questions)
        orders = {epoch: order_of_pass(self._rows.sources, self._spec.data.seed, epoch)
                  for epoch in {place // in_pass for place in places}}  # fmt: skip
        return [orders[place // in_pass][place % in_pass] for place in places]

    def epoch_after(self, step: int) -> float:
        """How many passes over the data are done after so many optimizer steps."""
        return step / self._steps_each * self._questions / self._rows.samples_in_pass
