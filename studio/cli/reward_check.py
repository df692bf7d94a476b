"""`studio reward check`: look at rewards, save those that come as files, and dry-run them all on real rows."""

from pathlib import Path
from typing import Annotated

import typer

from backend.errors import SpecError
from backend.ids import slug
from backend.recipes.resolve import resolve
from backend.rewards.library import library_names
from backend.spec.inputs import ModelKnobs
from backend.spec.reading import apply_settings, spec_from
from backend.spec.rewarding import GrpoKnobs
from studio.cli import doors
from studio.cli.dry_runs import tried
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json
from studio.cli.reward_files import looked_at, read_text
from studio.cli.reward_report import print_report
from studio.cli.training import draw_demo_datasets

_DEFAULTS = GrpoKnobs()
REWARDS = Annotated[list[str], typer.Argument(help="Rewards by name, or Python files, which are saved first.")]
LIMIT = Annotated[int, typer.Option(min=1, max=200, help="Rows.")]
SAMPLES = Annotated[int, typer.Option(min=2, max=128, help="Answers that the checkpoint draws to each question.")]
SET = Annotated[list[str] | None, typer.Option("--set", help="knob=value; may be repeated.")]


@explained
def check(
    rewards: REWARDS,
    dataset: Annotated[str, typer.Option(help="Whose rows are asked.")],
    limit: LIMIT = _DEFAULTS.check_rows,
    checkpoint: Annotated[str, typer.Option(help="Who answers: a model, a run, or RUN/checkpoint-N.")] = "",
    samples: SAMPLES = _DEFAULTS.generations,
    settings: SET = None,
    as_json: JSON_OPTION = False,
) -> None:
    """See what rewards pay before a run learns from it. Exit code 1 where one fails or never applies."""
    names = _saved(rewards)
    content = {
        "kind": "reward_check",
        "data": {"datasets": [{"name": dataset}]},
        "model": {"base": checkpoint or ModelKnobs().base},
        "grpo": {"rewards": [{"name": name} for name in names], "check_rows": limit, "generations": samples},
    }
    spec = apply_settings(spec_from(content, source="reward check"), settings or [])
    draw_demo_datasets(spec)
    report = tried(resolve(spec, doors.workspace()), as_json=as_json)
    print_json(report.model_dump(mode="json")) if as_json else print_report(report)
    if not report.passed:
        raise typer.Exit(RUN_FAILED)


def _saved(rewards: list[str]) -> list[str]:
    """Look at all of them, then save the files among them; their names. Raises SpecError, NotFoundError."""
    store = doors.reward_store()
    known = {*library_names(), *store.names()}
    files = {text: Path(text) for text in rewards if text not in known and _is_file(text)}
    names = {text: slug(files[text].stem, fallback="reward") if text in files else text for text in rewards}
    texts = {text: read_text(files[text]) if text in files else store.get(text).text for text in names}
    wrong = [f"`{text}` cannot be a reward as it stands" for text in names if looked_at(text, texts[text])]
    wrong += [f"`{name}` would be the name of two of them" for name in _twice(list(names.values()))]
    if wrong:
        raise SpecError("; ".join(wrong), hint="Mend the lines named above, and give each file a name of its own")
    for text in files:
        store.save(names[text], texts[text])
    return list(names.values())


def _is_file(text: str) -> bool:
    return text.endswith(".py") or Path(text).is_file()


def _twice(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]
