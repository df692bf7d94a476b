"""`studio reward`: list, show, save, delete, compose, check."""

import ast
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.errors import NotFoundError, SpecError
from backend.ids import slug
from backend.recipes.resolve import resolve
from backend.rewards.builtin_library import builtin_names, builtin_summary
from backend.rewards.composition import RewardPart, compose
from backend.rewards.contract import RewardSource
from backend.rewards.lint import lint
from backend.rewards.validation import MAX_BYTES
from backend.spec.files import apply_settings, spec_from
from backend.spec.grpo import GrpoKnobs
from backend.spec.training import ModelKnobs
from studio.cli import context
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json, print_table, say, warn
from studio.cli.reward_dry_run import print_report, run_dry_run
from studio.cli.train import draw_demo_datasets
from studio.pages.rewards.composer import sentence
from studio.ui.i18n import translator

_DEFAULTS = GrpoKnobs()
REWARDS = Annotated[list[str], typer.Argument(help="Rewards by name, or Python files, which are saved first.")]
LIMIT = Annotated[int, typer.Option(min=1, max=200, help="Rows.")]
SAMPLES = Annotated[int, typer.Option(min=2, max=128, help="Answers that the checkpoint draws to each question.")]
SET = Annotated[list[str] | None, typer.Option("--set", help="knob=value; may be repeated.")]
app = typer.Typer(help="Rewards: list, show, save, delete, compose, check.", no_args_is_help=True)
NAME = Annotated[str, typer.Argument(help="A reward's name.")]
PART = Annotated[list[str] | None, typer.Option("--part", help="READY_REWARD or READY_REWARD:WEIGHT; repeat it.")]


def read_text(file: Path) -> str:
    """Read a Python file. Raises SpecError where it cannot be read."""
    try:
        with file.open("rb") as source:
            content = source.read(MAX_BYTES + 8)  # what is larger is refused as it is saved
        return content.decode("utf-8-sig", "strict" if len(content) <= MAX_BYTES else "replace")
    except OSError as error:
        raise SpecError(f"`{file}` cannot be read: {error.strerror}", hint="Name a Python file") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"`{file}` is no text in UTF-8", hint="Save it as UTF-8") from error


def print_findings(place: str, text: str) -> int:
    """Print on stderr what is wrong or odd about a source; how many errors there are."""
    findings = lint(text)
    for finding in findings:
        warn(f"{place}:{finding.line}:{finding.column}: {finding.level}: {finding.message}\n  hint: {finding.hint}")
    return sum(finding.level == "error" for finding in findings)


@app.command()
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
    names = _save_files(rewards)
    content = {
        "kind": "reward_check",
        "data": {"datasets": [{"name": dataset}]},
        "model": {"base": checkpoint or ModelKnobs().base},
        "grpo": {"rewards": [{"name": name} for name in names], "check_rows": limit, "generations": samples},
    }
    spec = apply_settings(spec_from(content, source="reward check"), settings or [])
    draw_demo_datasets(spec)
    report = run_dry_run(resolve(spec, context.workspace()), as_json=as_json)
    print_json(report.model_dump(mode="json")) if as_json else print_report(report)
    if not report.passed:
        raise typer.Exit(RUN_FAILED)


@app.command("list")
@explained
def list_(as_json: JSON_OPTION = False) -> None:
    """List the rewards, ready ones and your own, with what each pays."""
    store, sources = context.reward_store(), []
    for name in (*builtin_names(), *store.names()):
        with contextlib.suppress(NotFoundError):  # deleted meanwhile
            sources.append(store.get(name))
    if as_json:
        print_json([_as_json(source) for source in sources])
        return
    rows = [(source.name, _origin(source), _pays(source), _dry_run_status(source)) for source in sources]
    print_table(("reward", "from", "what it pays", "dry run"), rows, empty="")


@app.command()
@explained
def show(
    name: NAME,
    version: Annotated[str, typer.Option(help="An earlier one: the beginning of its SHA-256.")] = "",
    as_json: JSON_OPTION = False,
) -> None:
    """Print a reward's Python source."""
    store = context.reward_store()
    source = store.version(name, version) if version else store.get(name)
    if as_json:
        versions = [each._asdict() for each in store.versions(name)]
        print_json(_as_json(source) | {"text": source.text, "versions": versions})
        return
    typer.echo(source.text, nl=not source.text.endswith("\n"))  # as it is, so that it can go to a file and back


@app.command()
@explained
def save(
    name: NAME,
    file: Annotated[Path, typer.Argument(help="Python that defines `reward`.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Save a file as a reward, or as the next version of one."""
    saved = context.reward_store().save(name, read_text(file))
    print_findings(str(file), saved.text)  # no errors are left; what is only odd is said
    _print_saved(saved, as_json)


@app.command()
@explained
def delete(name: NAME, as_json: JSON_OPTION = False) -> None:
    """Delete a reward of your own with all its versions; runs keep their copies."""
    context.reward_store().delete(name)
    print_json({"deleted": name}) if as_json else say(f"Deleted {name}.")


@app.command("compose")
@explained
def compose_(name: NAME, part: PART = None, as_json: JSON_OPTION = False) -> None:
    """Make a reward from ready ones, each with a weight, and save it."""
    parts = _parts(part or [])
    saved = context.reward_store().save(name, compose(parts), parts)
    if not as_json:
        say(sentence(parts, translator("en")))
    _print_saved(saved, as_json)


def _save_files(rewards: list[str]) -> list[str]:
    """Look at all of them, then save the files among them; their names. Raises SpecError, NotFoundError."""
    store = context.reward_store()
    names_in_store = {*builtin_names(), *store.names()}
    files = {text: Path(text) for text in rewards if text not in names_in_store and _is_file(text)}
    names = {text: slug(files[text].stem, fallback="reward") if text in files else text for text in rewards}
    texts = {text: read_text(files[text]) if text in files else store.get(text).text for text in names}
    wrong = [f"`{text}` cannot be a reward as it stands" for text in names if print_findings(text, texts[text])]
    wrong += [f"`{name}` would be the name of two of them" for name in _duplicates(list(names.values()))]
    if wrong:
        raise SpecError("; ".join(wrong), hint="Mend the lines named above, and give each file a name of its own")
    for text in files:
        store.save(names[text], texts[text])
    return list(names.values())


def _is_file(text: str) -> bool:
    return text.endswith(".py") or Path(text).is_file()


def _duplicates(names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def _parts(texts: list[str]) -> list[RewardPart]:
    parts, wrong = [], []
    for text in texts:
        name, sign, weight = text.partition(":")
        try:
            parts.append(RewardPart(name, float(weight) if sign else 1.0))
        except ValueError:
            wrong.append(f"`--part {text}` is not READY_REWARD:WEIGHT")
    if wrong:
        raise SpecError("; ".join(wrong), hint="For example `--part exact_match:1 --part length:0.2`")
    return parts


def _print_saved(source: RewardSource, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(source))
        return
    say(f"Saved {source.name}, version {source.sha256[:12]}.")
    if not context.reward_store().is_checked(source):
        say(f"try it before a run does: studio reward check {source.name} --dataset DATASET")


def _as_json(source: RewardSource) -> dict[str, Any]:
    """A reward as `--json` prints it."""
    store = context.reward_store()
    check, parts = store.dry_run_of(source.sha256), _parts_of(source)
    return {
        "name": source.name,
        "origin": source.origin,
        "pays": _pays(source),
        "sha256": source.sha256,
        "is_checked": store.is_checked(source),
        "check": check.model_dump() if check else None,
        "parts": None if parts is None else [part._asdict() for part in parts],
    }


def _origin(source: RewardSource) -> str:
    return "ready" if source.origin == "library" else "own"


def _parts_of(source: RewardSource) -> tuple[RewardPart, ...] | None:
    """The parts of this version, where it was composed and is the current one."""
    store = context.reward_store()
    return store.parts_of(source.name) if store.get(source.name) == source else None


def _pays(source: RewardSource) -> str:
    """What a reward says of itself: its parts, or the first paragraph of the docstring of an own one that has one."""
    if source.origin == "library":
        return builtin_summary(source.name).text
    if parts := _parts_of(source):
        return sentence(parts, translator("en"))
    try:
        docstring = ast.get_docstring(ast.parse(source.text)) or ""
    except (SyntaxError, ValueError, RecursionError):  # saved by a studio whose Python knew more
        return ""
    return " ".join(docstring.partition("\n\n")[0].split())


def _dry_run_status(source: RewardSource) -> str:
    if source.origin == "library":
        return "needs none"
    record = context.reward_store().dry_run_of(source.sha256)
    if record is None:
        return "not yet"
    warnings = f", {record.warnings} warning{'s' * (record.warnings != 1)}" if record.warnings else ""
    return ("passed" if record.passed else "failed") + warnings
