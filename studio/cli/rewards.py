"""`studio reward`: list, show, save, delete, compose, check."""

import ast
import contextlib
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.errors import NotFoundError, SpecError
from backend.rewards.composer import Part, compose, sentence
from backend.rewards.contract import RewardSource
from backend.rewards.library import about, library_names
from studio.cli import doors, reward_check
from studio.cli.output import JSON_OPTION, explained, print_json, print_table, say
from studio.cli.reward_files import looked_at, read_text

app = typer.Typer(help="Rewards: list, show, save, delete, compose, check.", no_args_is_help=True)
app.command("check")(reward_check.check)
NAME = Annotated[str, typer.Argument(help="A reward's name.")]
PART = Annotated[list[str] | None, typer.Option("--part", help="READY_REWARD or READY_REWARD:WEIGHT; repeat it.")]


@app.command("list")
@explained
def list_(as_json: JSON_OPTION = False) -> None:
    """List the rewards, ready ones and your own, with what each pays."""
    store, sources = doors.reward_store(), []
    for name in (*library_names(), *store.names()):
        with contextlib.suppress(NotFoundError):  # deleted meanwhile
            sources.append(store.get(name))
    if as_json:
        print_json([_described(source) for source in sources])
        return
    rows = [(source.name, _origin(source), _pays(source), _checked(source)) for source in sources]
    print_table(("reward", "from", "what it pays", "dry run"), rows, empty="")


@app.command()
@explained
def show(
    name: NAME,
    version: Annotated[str, typer.Option(help="An earlier one: the beginning of its SHA-256.")] = "",
    as_json: JSON_OPTION = False,
) -> None:
    """Print a reward's Python source."""
    store = doors.reward_store()
    source = store.version(name, version) if version else store.get(name)
    if as_json:
        versions = [each._asdict() for each in store.versions(name)]
        print_json(_described(source) | {"text": source.text, "versions": versions})
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
    saved = doors.reward_store().save(name, read_text(file))
    looked_at(str(file), saved.text)  # no errors are left; what is only odd is said
    _tell_saved(saved, as_json)


@app.command()
@explained
def delete(name: NAME, as_json: JSON_OPTION = False) -> None:
    """Delete a reward of your own with all its versions; runs keep their copies."""
    doors.reward_store().delete(name)
    print_json({"deleted": name}) if as_json else say(f"Deleted {name}.")


@app.command("compose")
@explained
def compose_(name: NAME, part: PART = None, as_json: JSON_OPTION = False) -> None:
    """Make a reward from ready ones, each with a weight, and save it."""
    parts = _parts(part or [])
    saved = doors.reward_store().save(name, compose(parts), parts)
    if not as_json:
        say(sentence(parts))
    _tell_saved(saved, as_json)


def _parts(texts: list[str]) -> list[Part]:
    parts, wrong = [], []
    for text in texts:
        name, sign, weight = text.partition(":")
        try:
            parts.append(Part(name, float(weight) if sign else 1.0))
        except ValueError:
            wrong.append(f"`--part {text}` is not READY_REWARD:WEIGHT")
    if wrong:
        raise SpecError("; ".join(wrong), hint="For example `--part exact_match:1 --part length:0.2`")
    return parts


def _tell_saved(source: RewardSource, as_json: bool) -> None:
    if as_json:
        print_json(_described(source))
        return
    say(f"Saved {source.name}, version {source.sha256[:12]}.")
    if not doors.reward_store().is_checked(source):
        say(f"try it before a run does: studio reward check {source.name} --dataset DATASET")


def _described(source: RewardSource) -> dict[str, Any]:
    """A reward as `--json` prints it."""
    store = doors.reward_store()
    check, parts = store.check_of(source.sha256), store.parts_of(source.name)
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


def _pays(source: RewardSource) -> str:
    """What a reward says of itself: the first paragraph of its docstring, for own ones that have one."""
    if source.origin == "library":
        return about(source.name).text
    try:
        docstring = ast.get_docstring(ast.parse(source.text)) or ""
    except (SyntaxError, ValueError, RecursionError):  # saved by a studio whose Python knew more
        return ""
    return " ".join(docstring.partition("\n\n")[0].split())


def _checked(source: RewardSource) -> str:
    if source.origin == "library":
        return "needs none"
    found = doors.reward_store().check_of(source.sha256)
    if found is None:
        return "not yet"
    warned = f", {found.warnings} warning{'s' * (found.warnings != 1)}" if found.warnings else ""
    return ("passed" if found.passed else "failed") + warned
