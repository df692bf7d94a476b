"""What a form starts from: the recipe of the chosen kind and strategy, at the chosen effort."""

from typing import Any, NamedTuple

from backend.errors import SpecError
from backend.recipes.efforts import EFFORTS, with_effort
from backend.recipes.library import RECIPE_OF, load_recipe, recipe_for
from backend.spec.run import RunSpec

KINDS = ("sft", "grpo")  # what a person may start from the form


class Base(NamedTuple):
    """The three choices that a recipe's values follow."""

    kind: str
    strategy: str
    effort: str


FIRST = Base("sft", "lora", "balanced")  # what the page opens with


def base_spec(base: Base) -> RunSpec:
    """The recipe's spec. Raises SpecError for words that the page never offered."""
    kind, strategy, effort = known(base)
    recipe = load_recipe(recipe_for(kind, strategy)).spec
    return with_effort(recipe.with_values({"strategy.name": strategy}), effort)


def demo_datasets(base: Base) -> tuple[str, ...]:
    """The recipe's own datasets. Raises SpecError for words that the page never offered."""
    kind, strategy, _ = known(base)
    return load_recipe(recipe_for(kind, strategy)).demo_datasets


def known(base: Base) -> tuple[Any, Any, Any]:
    """The three, each checked. Raises SpecError."""
    for word, offered, what in (
        (base.kind, KINDS, "kind of learning"), (base.strategy, tuple(RECIPE_OF), "strategy"),
        (base.effort, EFFORTS, "length of training"),
    ):  # fmt: skip
        if word not in offered:
            raise SpecError(f"`{word}` is no {what}", hint=f"Choose one of {', '.join(offered)}")
    return base
