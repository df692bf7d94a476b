"""`studio dataset`: import, list, show, check, delete; edit, versions, restore, copy."""

import codecs
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from backend.conversation import SPLITS
from backend.datasets.editing import Edits
from backend.datasets.problems import DatasetProblem
from backend.datasets.records import ColumnMapping, ImportReport, Manifest
from backend.datasets.store import ImportOptions
from backend.demo.datasets import prepare_demo_datasets
from backend.errors import DatasetError
from backend.ids import DatasetName
from studio.cli import context
from studio.cli.output import JSON_OPTION, RUN_FAILED, explained, print_json, print_table, progress_line, say, warn

NAME = Annotated[str, typer.Argument(help="A dataset's name.")]
MAX_DIGITS_SHOWN = 12  # of a version's sha256
app = typer.Typer(help="Datasets: import, list, show, check, edit, delete.", no_args_is_help=True)
MAX_PROBLEMS_SHOWN = 20
_DEFAULTS = ImportOptions()
_PARTS = ("turns", "choices", "context", "system", "split")
_PARTS_HELP = f"A column of another part ({', '.join(_PARTS)}); once for each."


@explained
def edit(
    name: NAME,
    answer: Annotated[list[str] | None, typer.Option(metavar="ROW=TEXT", help="A row's new last answer.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(metavar="ROW", help="A row to leave out.")] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Correct answers and leave rows out, as a new version; the earlier ones stay."""
    edits = Edits(_answers(answer or ()), frozenset(exclude or ()))
    if not edits.answers and not edits.excluded:
        raise DatasetError("There is nothing to change", hint="Give --answer ROW=TEXT or --exclude ROW, each as often")
    before = context.dataset_store().get(DatasetName(name))
    _report_change(context.dataset_store().apply_edits(name, edits), before, as_json)


@explained
def versions(name: NAME, as_json: JSON_OPTION = False) -> None:
    """List the versions of a dataset, newest first."""
    all_versions = context.dataset_store().versions(name)
    if as_json:
        print_json([version._asdict() for version in all_versions])
        return
    rows = [
        (
            version.sha256[:MAX_DIGITS_SHOWN],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.made_at)),
            version.rows,
            "current" if version.is_current else "",
            version.change,
        )
        for version in all_versions
    ]
    print_table(("version", "made", "rows", "", "change"), rows, empty="")


@explained
def restore(
    name: NAME,
    sha256: Annotated[str, typer.Argument(metavar="SHA", help="A version: its first eight characters or more.")],
    as_json: JSON_OPTION = False,
) -> None:
    """Let an earlier version count again; what was made since stays a version too."""
    before = context.dataset_store().get(DatasetName(name))
    _report_change(context.dataset_store().restore(name, sha256), before, as_json)


@explained
def copy(
    name: NAME,
    to: Annotated[str, typer.Option(metavar="SET", help="The dataset that gets them; made where there is none.")],
    row: Annotated[list[str] | None, typer.Option(metavar="ID", help="A row; give it once for each.")] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Copy rows with their images into another dataset; validation and test rows stay so."""
    store = context.dataset_store()
    before = store.get(DatasetName(to)) if to in store.names() else None
    _report_change(store.copy_rows(name, row or (), to), before, as_json)


def described(manifest: Manifest) -> dict[str, object]:
    """A dataset for machines: its manifest and its folder."""
    folder = context.dataset_store().folder(DatasetName(manifest.name))
    return manifest.model_dump(mode="json") | {"folder": str(folder)}


@app.command("import")
@explained
def import_(
    path: Annotated[Path, typer.Argument(help="zip, folder, json, jsonl, csv or parquet")],
    name: Annotated[str, typer.Option(help="Default: the file's own name.")] = "",
    validation: Annotated[Path | None, typer.Option(help="Another file; its rows are for validation.")] = None,
    test: Annotated[Path | None, typer.Option(help="Another file; its rows are for the test.")] = None,
    validation_share: Annotated[
        float, typer.Option(min=0, max=0.9, help="Of the rows, where the upload has no validation rows.")
    ] = _DEFAULTS.validation_share,
    seed: Annotated[int, typer.Option(min=0)] = _DEFAULTS.seed,
    image_column: Annotated[list[str] | None, typer.Option(help="A column of images; once for each.")] = None,
    question_column: Annotated[str | None, typer.Option(help="Which one is the question; empty for none.")] = None,
    answer_column: Annotated[str | None, typer.Option(help="Which one is the answer.")] = None,
    column: Annotated[list[str] | None, typer.Option(metavar="PART=NAME", help=_PARTS_HELP)] = None,
    first_choice: Annotated[
        int | None, typer.Option(min=0, max=1, help="The number of the first choice, where answers are numbers.")
    ] = None,
    file: Annotated[list[str] | None, typer.Option(help="A file of the upload to read; default: all.")] = None,
    template: Annotated[str, typer.Option(help="The question of rows made of boxes or class folders.")] = "",
    encoding: Annotated[str, typer.Option(help="Of text files that are not UTF-8, such as big5.")] = "",
    text_rows: Annotated[
        bool, typer.Option("--text-rows", help="Rows that name no image are meant so, though images lie beside them.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing while one row is bad.")] = False,
    heldout: Annotated[Path | None, typer.Option(hidden=True)] = None,  # what earlier versions called --validation
    heldout_share: Annotated[float | None, typer.Option(hidden=True, min=0, max=0.9)] = None,
    as_json: JSON_OPTION = False,
) -> None:
    """Import a dataset. Columns that are not named are judged by what stands in them; `""` names none."""
    named: dict[str, Any] = {"images": image_column, "question": question_column, "answer": answer_column}
    named |= {"first_choice": first_choice, **_parts(column or ())}
    options = ImportOptions(
        name=name,
        validation=validation or heldout,
        test=test,
        validation_share=validation_share if heldout_share is None else heldout_share,
        seed=seed,
        mapping=_mapping(path, {part: columns for part, columns in named.items() if columns is not None}),
        files=tuple(file or ()),
        template=template,
        encoding=_encoding(encoding),
        text_rows=text_rows,
        strict=strict,
    )
    with progress_line() as progress:
        report = context.dataset_store().import_dataset(path, options, progress)
    _report_import(path.name, report, as_json)


@app.command("list")
@explained
def list_(as_json: JSON_OPTION = False) -> None:
    """List the datasets."""
    manifests = context.dataset_store().manifests()
    if as_json:
        print_json([described(manifest) for manifest in manifests])
        return
    rows = [
        (each.name, *map(each.statistics.rows_of, SPLITS), each.statistics.images, each.layout) for each in manifests
    ]
    empty = "No datasets yet: studio dataset import PATH, or studio dataset demo"
    print_table(("dataset", "training rows", "validation", "test", "images", "layout"), rows, empty=empty)


@app.command()
@explained
def show(name: NAME, as_json: JSON_OPTION = False) -> None:
    """Show one dataset: where it came from, its counts, its problems."""
    manifest = context.dataset_store().get(DatasetName(name))
    if as_json:
        print_json(described(manifest))
        return
    facts = [*_flat(manifest).items(), *((f"problem {code}", count) for code, count in manifest.problem_counts.items())]
    print_table((manifest.name, ""), facts, empty="")


@app.command()
@explained
def check(name: NAME, as_json: JSON_OPTION = False) -> None:
    """Verify the files of a dataset and of its versions again. Exit code 1 where something is wrong."""
    problems = context.dataset_store().check(DatasetName(name))
    if as_json:
        print_json([problem.model_dump(mode="json") for problem in problems])
    elif not problems:
        say(f"{name} is whole.")
    else:
        _print_problems(tuple(problems), 0)
    if problems:
        raise typer.Exit(RUN_FAILED)


@app.command()
@explained
def delete(name: NAME, as_json: JSON_OPTION = False) -> None:
    """Delete a dataset with its images and versions."""
    context.dataset_store().delete(DatasetName(name))
    print_json({"deleted": name}) if as_json else say(f"Deleted {name}.")


@app.command()
@explained
def demo(as_json: JSON_OPTION = False) -> None:
    """Draw the demo datasets that are not there yet."""
    names = prepare_demo_datasets(context.dataset_store())
    print_json(names) if as_json else say(f"Drew {', '.join(names)}." if names else "The demo datasets are all here.")


app.command()(edit)
app.command()(versions)
app.command()(restore)
app.command()(copy)


def _parts(written: Sequence[str]) -> dict[str, Any]:
    """What `--column PART=NAME` says, several names of a part in their order."""
    parts: dict[str, Any] = {}
    for each in written:
        part, sign, name = each.partition("=")
        if not sign or part not in _PARTS:
            raise DatasetError(f"`{each}` is no part and column", hint=f"Write PART=NAME, of {', '.join(_PARTS)}")
        parts[part] = name if part in ("system", "split") else [*parts.get(part, []), name]
    return parts


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name if name else ""
    except LookupError as error:
        raise DatasetError(f"There is no encoding `{name}`", hint="For example big5, gb18030, cp949, cp1252") from error


def _report_import(upload: str, report: ImportReport, as_json: bool) -> None:
    if as_json:
        problems = [problem.model_dump(mode="json") for problem in report.problems]
        print_json(described(report.manifest) | {"was_known": report.was_known, "problems": problems})
        return
    outcome = "is already here as" if report.was_known else "imported as"
    say(f"{upload} {outcome} {report.manifest.name}: {_rows_of_parts(report.manifest)}")
    for notice in report.manifest.notices:
        say(f"note: {notice}")
    _print_problems(report.problems, report.manifest.skipped_rows)


def _answers(written: Sequence[str]) -> dict[str, str]:
    answers: dict[str, str] = {}
    for each in written:
        row, sign, text = each.partition("=")
        if not sign or not row or row in answers:
            why = "is the second answer for its row" if row in answers and sign else "names no row and answer"
            raise DatasetError(f"`{each}` {why}", hint="Write --answer ROW=TEXT, once for each row")
        answers[row] = text
    return answers


def _report_change(manifest: Manifest, before: Manifest | None, as_json: bool) -> None:
    is_new = before is None or before.sha256 != manifest.sha256
    if as_json:
        print_json(described(manifest) | {"is_changed": is_new})
        return
    if not is_new:
        say(f"{manifest.name} is as it was: nothing to change.")
        return
    say(
        f"{manifest.name} is now version {manifest.sha256[:MAX_DIGITS_SHOWN]}: {manifest.change or 'as imported'}; "
        f"{_rows_of_parts(manifest)}"
    )


def _rows_of_parts(manifest: Manifest) -> str:
    """Say how many rows each part has; the test only where there is one."""
    counts = manifest.statistics
    test = f", {counts.test_rows} test rows" if counts.test_rows else ""
    return f"{counts.train_rows} training rows, {counts.validation_rows} validation rows{test}"


def _mapping(path: Path, named: dict[str, Any]) -> ColumnMapping | None:
    """The columns that were named, and the upload's own best guess for the parts that were not."""
    if not named:
        return None
    chosen = {part: tuple(filter(None, value)) if isinstance(value, list) else value for part, value in named.items()}
    taken = {name for value in chosen.values() for name in (value if isinstance(value, tuple) else (value,))}
    guessed = context.dataset_store().inspect(path).suggestion
    rest = {part: _without(value, taken) for part, value in guessed if part not in chosen}
    return ColumnMapping(**(rest | chosen))


def _without(columns: Any, taken: set[Any]) -> Any:
    if isinstance(columns, tuple):
        return tuple(name for name in columns if name not in taken)
    return "" if columns in taken and isinstance(columns, str) else columns


def _flat(manifest: Manifest) -> dict[str, object]:
    counts = manifest.statistics.model_dump()
    answers = counts.pop("most_frequent_answers")
    split = manifest.split
    seeded = f"{split.share:.0%} by image for validation, seed {split.seed}"
    rule = seeded if split.kind == "seeded" else f"as given; {seeded}" if split.share else "as given"
    facts = {
        "source": manifest.source,
        "layout": manifest.layout,
        "split rule": rule,
        "sha256": manifest.sha256[:16],
    }
    labelled = {key.replace("_", " "): value for key, value in counts.items()}
    return facts | labelled | {"frequent answers": ", ".join(f"{text} ({count})" for text, count in answers[:5])}


def _print_problems(problems: tuple[DatasetProblem, ...], skipped: int) -> None:
    if skipped:
        warn(f"{skipped} rows were left out:")
    for problem in problems[:MAX_PROBLEMS_SHOWN]:
        place = f"{problem.file} line {problem.line}" if problem.line else problem.file
        warn(f"{problem.severity} {problem.code} {place}: {problem.message}\n  hint: {problem.hint}")
    if len(problems) > MAX_PROBLEMS_SHOWN:
        warn(f"and {len(problems) - MAX_PROBLEMS_SHOWN} more: see problems.jsonl in the dataset's folder, or --json")
