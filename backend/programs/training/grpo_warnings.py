"""What can go wrong while learning from rewards, told in words while it happens: a curve alone says it too late."""

from collections import deque
from collections.abc import Callable, Mapping
from statistics import fmean

WINDOW = 10  # steps that are compared
SILENT_STEPS = 50  # before the same alarm is given again
FLAT = 0.8  # share of groups without spread
CUT = 0.3  # share of answers that were cut
CERTAIN_NATS = 0.05
LONGER = 1.5  # times as long as at first
APART = 1.0  # nats of KL, ten times what it was
MISTAKEN = 0.2  # share of answers without a value by mistake
BETTER = 0.05  # of a reward or a metric, that counts as a change
Values = Mapping[str, float | None]


class MetricWarnings:
    """Watches the metrics of one run."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self._first: dict[str, list[float]] = {}  # of the first window
        self._last: dict[str, deque[float]] = {}
        self._evaluated: list[tuple[float, float]] = []  # mean reward around it, exact match
        self._last_given: dict[str, int] = {}  # kind of alarm -> step
        self._rules: dict[str, Callable[[], str]] = {
            "flat": self._flat,
            "cut": self._cut,
            "certain": self._certain,
            "longer": self._longer,
            "apart": self._apart,
            "mistaken": self._mistaken,
        }

    def update(self, step: int, values: Values) -> list[str]:
        """Take in one step's metrics; returns what a person should be told now."""
        for name, value in values.items():
            if value is not None:
                first = self._first.setdefault(name, [])
                if len(first) < WINDOW:
                    first.append(value)
                self._last.setdefault(name, deque(maxlen=WINDOW)).append(value)
        texts = {kind: rule() for kind, rule in self._rules.items()}
        return [text for kind, text in texts.items() if text and self._is_news(kind, step)]

    def update_evaluation(self, step: int, values: Values) -> list[str]:
        """Take in one evaluation."""
        reward, right = self._now("reward"), values.get("exact_match")
        if reward is None or right is None:
            return []
        self._evaluated.append((reward, right))
        (reward_then, right_then), grew = self._evaluated[0], reward - self._evaluated[0][0]
        if grew < BETTER or right_then - right < BETTER or not self._is_news("hacking", step):
            return []
        return [
            f"The reward rose from {reward_then:.2f} to {reward:.2f} while exact match on validation rows fell from "
            f"{right_then:.0%} to {right:.0%}: read the roll-outs, the model may have found an easy way to be paid"
        ]

    def _now(self, name: str) -> float | None:
        """Mean of the last window, once it is full."""
        last = self._last.get(name, ())
        return fmean(last) if len(last) == WINDOW else None

    def _then(self, name: str) -> float:
        return fmean(self._first[name])

    def _is_news(self, kind: str, step: int) -> bool:
        if step - self._last_given.get(kind, -SILENT_STEPS) < SILENT_STEPS:
            return False
        self._last_given[kind] = step
        return True

    def _flat(self) -> str:
        share = self._now("frac_reward_zero_std")
        if share is None or share < FLAT:
            return ""
        return (
            f"In {share:.0%} of the last groups every answer earned the same, and nothing is learned from those: take "
            "a reward with steps between, more answers per question, or rows the model is not sure of"
        )

    def _cut(self) -> str:
        share = self._now("completions/clipped_ratio")
        if share is None or share < CUT:
            return ""
        return f"{share:.0%} of the answers were cut, and judged as they stood: raise Longest drawn answer"

    def _certain(self) -> str:
        now = self._now("entropy")
        if now is None or now >= CERTAIN_NATS or now >= self._then("entropy") / 10:
            return ""
        return (
            f"Answers have become nearly certain (entropy {self._then('entropy'):.2f} at first, {now:.3f} now): little "
            "is left to choose from; lower the learning rate or raise Temperature"
        )

    def _longer(self) -> str:
        length, reward = self._now("completions/mean_length"), self._now("reward")
        if length is None or reward is None or reward < self._then("reward") + BETTER:
            return ""
        then = self._then("completions/mean_length")
        if length <= LONGER * then:
            return ""
        return (
            f"The reward rises while answers grow from {then:.0f} to {length:.0f} tokens: read the roll-outs, length "
            "alone may be what is paid"
        )

    def _apart(self) -> str:
        now = self._now("kl")
        if now is None or now <= APART or now <= 10 * self._then("kl"):
            return ""
        return f"The model runs away from where it started (KL {now:.1f}): lower the learning rate or raise KL weight"

    def _mistaken(self) -> str:
        rates = {name: self._now(name) or 0.0 for name in self._last if name.endswith("/error_rate")}
        worst = max(rates, key=lambda name: rates[name], default="")
        if not worst or rates[worst] < MISTAKEN:
            return ""
        reward = worst.removeprefix("rewards/").removesuffix("/error_rate")
        return f"Reward `{reward}` gives no value for {rates[worst]:.0%} of the answers, by mistake"
