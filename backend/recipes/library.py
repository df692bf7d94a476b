"""The recipes that ship, one YAML a recipe in `backend/recipes/`, and the efforts that scale how long they learn."""

import difflib
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import yaml
from pydantic import ValidationError

from backend.errors import NotFoundError, SpecError
from backend.spec.files import spec_from
from backend.spec.knobs import RunKind
from backend.spec.run import RunSpec
from backend.spec.strategies import STRATEGIES, StrategyName

FOLDER = Path(__file__).parent
RECIPE_OF: dict[StrategyName, str] = {name: strategy.recipe for name, strategy in STRATEGIES.items()}
GRPO = "grpo"  # the recipe of learning from rewards, whatever the strategy
Effort = Literal["quick", "balanced", "best"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
_PASSES: dict[Effort, float] = {"quick": 1 / 3, "balanced": 1.0, "best": 2.0}


class Recipe(NamedTuple):
    """A named start for a spec."""

    name: str
    about: str  # one sentence, in English; the page translates `recipe.<name>`
    demo_datasets: tuple[str, ...]  # whose gap the recipe's trainable part can close
    spec: RunSpec


def recipe_names() -> list[str]:
    """The recipes, in the order of the strategy cards."""
    names = {path.stem for path in FOLDER.glob("*.yaml")}
    first = [name for name in RECIPE_OF.values() if name in names]
    return first + sorted(names - set(first))


def recipe_for(kind: RunKind, strategy: StrategyName) -> str:
    """The recipe that a form starts from."""
    return RECIPE_OF[strategy] if kind == "sft" else GRPO


def load_recipe(name: str) -> Recipe:
    """Read one recipe.

    Raises:
        NotFoundError: no recipe has that name; the hint names the nearest.
    """
    if name not in recipe_names():
        close = difflib.get_close_matches(name, recipe_names(), n=1, cutoff=0.4)
        hint = f"Did you mean `{close[0]}`?" if close else f"There are: {', '.join(recipe_names())}"
        raise NotFoundError(f"No recipe is called `{name}`", hint=hint)
    content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    about, datasets = content.pop("about"), tuple(content.pop("demo_datasets"))
    spec = spec_from(content | {"recipe": name}, source=f"{name}.yaml")
    return Recipe(name, about, datasets, spec)


def recipe_text(name: str) -> str:
    """The YAML as it ships, comments included. Raises NotFoundError."""
    load_recipe(name)
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def with_effort(spec: RunSpec, effort: Effort) -> RunSpec:
    """Scale the recipe's passes over the data: a third, as they are, or twice.

    Raises:
        SpecError: nobody may ask for so many.
    """
    if _PASSES[effort] == 1:
        return spec
    epochs = float(f"{spec.optimiser.epochs * _PASSES[effort]:.3g}")
    try:
        return spec.with_values({"optimiser.epochs": epochs})
    except ValidationError as error:
        hint = "Choose another effort, or fewer `optimiser.epochs`"
        raise SpecError(f"`{effort}` would make {epochs:g} passes over the data", hint=hint) from error
