"""Write the README's generated tables from the code: `python -m tests.scripts.generate_readme`."""

from backend.recipes.library import RECIPE_OF
from backend.spec.knobs import Knob, knobs_of
from backend.spec.run import RunSpec
from backend.spec.strategies import PARTS, STRATEGIES
from tests.scripts.readme import write_section


def strategies_table() -> str:
    """The module table, as markdown."""
    lines = ["| strategy | " + " | ".join(PARTS) + " | recipe |", "|---|" + "---|" * (len(PARTS) + 1)]
    for name, strategy in STRATEGIES.items():
        ways = [
            strategy.how(part) + (" (4 bit)" if strategy.quantised and part == "language" else "") for part in PARTS
        ]
        lines.append(f"| `{name}` | {' | '.join(ways)} | `{RECIPE_OF[name]}` |")
    return "\n".join(lines)


def knobs_table() -> str:
    """Every knob of the spec, as markdown."""
    lines = ["| knob | default | unit | what it does |", "|---|---|---|---|"]
    return "\n".join([*lines, *(_line(knob) for knob in knobs_of(RunSpec))])


def _line(knob: Knob) -> str:
    default = knob.field.default
    shown = "" if default in ("", ()) else "the model's suggestion" if default is None else f"`{default}`"
    return f"| `{knob.path}` | {shown} | {knob.unit} | {knob.help} |"


def main() -> None:
    """Rewrite both tables."""
    write_section("generated:strategies", strategies_table())
    write_section("generated:knobs", knobs_table())


if __name__ == "__main__":
    main()
